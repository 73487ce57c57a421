"""Injects random faults while records flow, and prints the verifier's verdict, one line for each seed.

    python -m tests.system.chaos --seeds 20 --records 6000

The seed determines the records, the faults and their order, but not their exact timing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import redis

from tests.checkpoints import save_tiny_checkpoint
from tests.system.inputs import mixed
from tests.system.scene import QUICK, Scene
from tests.system.verifier import REDIS_TIMEOUT_S, Report
from tests.system.worker_process import WorkerProcess
from tests.workplace import new_workplace
from worker.stack import LocalStack

NUM_WORKERS = 2
CHUNK_RECORDS = 250
MAX_LULL_S = 0.6  # between sending a chunk and injecting a fault
MAX_AWAY_S = 2.0
MAX_PAUSE_S = QUICK["session_timeout_s"] * 1.5
SETTLE_TIMEOUT_S = 240.0


class Chaos:
    """Injects faults into a scene: into its workers, its Redis and its brokers."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self._scene = scene
        self._stack = scene.workplace.stack
        self._random = Random(seed)
        self._seed = seed
        self._snapshots: list[Path] = []
        self.done: Counter[str] = Counter()
        self._faults: tuple[tuple[int, Callable[[], None]], ...] = (
            (4, self.kill),
            (3, self.pause),
            (2, self.terminate),
            (2, self.flushall),
            (2, self.roll_back),
            (1, self.empty_redis),
            (1, self.kill_broker),
        )

    def run(self, num_records: int) -> Report:
        """Send the records in chunks, with a fault after each, wait until everything is done, and verify."""
        scene = self._scene
        scene.supervised = True
        for _ in range(NUM_WORKERS):
            # some keep all their states in memory, others have to read them from Redis
            scene.worker(max_cached_streams=self._random.choice((12, 1000)), max_batch=64).launch()
        weights, faults = zip(*self._faults, strict=True)
        for number in range(num_records // CHUNK_RECORDS):
            scene.send(mixed(CHUNK_RECORDS, 1000 * self._seed + number))
            time.sleep(self._random.uniform(0, MAX_LULL_S))
            (fault,) = self._random.choices(faults, weights)
            fault()
            self.done[fault.__name__] += 1
            scene.supervise()
        return scene.finish(SETTLE_TIMEOUT_S)

    def _worker(self) -> WorkerProcess:
        return self._random.choice(self._scene.workers)

    def kill(self) -> None:
        """Send SIGKILL to a worker, and start it again."""
        worker = self._worker()
        worker.kill()
        worker.launch()

    def pause(self) -> None:
        """Send SIGSTOP to a worker, sometimes for longer than its session."""
        worker = self._worker()
        if worker.running:
            worker.pause()
            time.sleep(self._random.uniform(0, MAX_PAUSE_S))
            worker.resume()

    def terminate(self) -> None:
        """Send SIGTERM to a worker, and start it again: it leaves the group and joins it again."""
        worker = self._worker()
        worker.stop()
        worker.launch()

    def flushall(self) -> None:
        """Delete everything in Redis."""
        with redis.Redis.from_url(self._stack.redis, socket_timeout=REDIS_TIMEOUT_S) as client:
            client.flushall()

    def roll_back(self) -> None:
        """Kill Redis and restart it from an earlier snapshot; the first call only takes a snapshot."""
        server = self._stack.redis_server
        if self._snapshots:
            server.kill()
            server.restore(self._random.choice(self._snapshots))
            server.start()
        self._snapshots.append(server.snapshot())

    def empty_redis(self) -> None:
        """Kill Redis and restart it empty."""
        server = self._stack.redis_server
        server.kill()
        time.sleep(self._random.uniform(0, MAX_AWAY_S))
        server.erase()
        server.start()

    def kill_broker(self) -> None:
        """Kill a broker and restart it."""
        broker = self._random.choice(self._stack.brokers)
        broker.kill()
        time.sleep(self._random.uniform(0, MAX_AWAY_S))
        broker.start()


def run_seed(stack: LocalStack, folder: Path, seed: int, num_records: int) -> bool:
    """Run one seed on its own workplace and print its line; returns whether the outcome was exact."""
    workplace = new_workplace(stack, inputs=("tweets",), **QUICK)
    workplace.create_topics()
    scene = Scene(workplace, folder / "checkpoint", folder / str(seed))
    begin_s = time.monotonic()
    try:
        chaos = Chaos(scene, seed)
        report = chaos.run(num_records)
    finally:
        scene.close()
    counts = (len(found) for found in report.faults.values())
    injected = " ".join(f"{name}={count}" for name, count in sorted(chaos.done.items()))
    print_line(seed, round(time.monotonic() - begin_s), report.num_records, *counts, injected)
    if not report.exact:
        print(report, scene.tails(), sep="\n", flush=True)
    return report.exact


def print_line(*columns: object) -> None:
    """Print one line of the table."""
    print(*(f"{column:>12}" for column in columns), flush=True)


def main() -> int:
    """Run the seeds in the command line; returns 1 if the outcome of any was not exact."""
    parser = argparse.ArgumentParser(prog="python -m tests.system.chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="number of runs")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--records", type=int, default=5000, help="number of records in each run")
    parser.add_argument("--brokers", type=int, default=1, choices=(1, 3))
    asked = parser.parse_args()
    print_line("seed", "seconds", "records", *Report().faults, "faults injected")
    with (
        tempfile.TemporaryDirectory(prefix="sentiment-chaos-") as name,
        LocalStack(asked.brokers, append_only=True) as stack,
    ):
        save_tiny_checkpoint(Path(name) / "checkpoint")
        seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
        exact = [run_seed(stack, Path(name), seed, asked.records) for seed in seeds]
    return 0 if all(exact) else 1


if __name__ == "__main__":
    sys.exit(main())
