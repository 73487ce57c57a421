"""Looks at workers and servers every few seconds, beside the run."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import redis
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from tests.soak.trends import Point
from tests.system.scene import Scene
from tests.system.worker_process import WorkerProcess

PAGE_BYTES = 4096
REDIS_TIMEOUT_S = 5.0
OPEN = ("Ongoing", "PrepareCommit", "PrepareAbort")  # states of transactions
FIGURES = {
    "memory_mb": "memory of a worker, MB",
    "num_files": "open files of a worker",
    "num_threads": "threads of a worker",
    "redis_keys": "keys in Redis",
    "redis_mb": "memory of Redis, MB",
    "transactions": "open transactions",
    "lag_records": "lag, records",
}
# The lag follows from the last fault: a loss of Redis replays the log, which grows.
NOT_JUDGED = frozenset({"lag_records"})


class Sampler:
    """Points of each of FIGURES. What does not answer at the moment, because of a fault, gives no point."""

    def __init__(self, scene: Scene, interval_s: float) -> None:
        self.points: dict[str, list[Point]] = defaultdict(list)
        self._scene = scene
        self._interval_s = interval_s
        self._begin_s = time.monotonic()

    @contextmanager
    def sampling(self) -> Iterator[None]:
        """Sample in the background."""
        stop = threading.Event()

        def sample() -> None:
            while not stop.wait(self._interval_s):
                self.sample()

        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(sample)
            try:
                yield
            finally:
                stop.set()
            done.result()

    def sample(self) -> None:
        """One look at everything."""
        for worker in list(self._scene.workers):
            with contextlib.suppress(OSError, RuntimeError, ValueError):
                self._look_at(worker)
        self._look_at_redis()
        self._look_at_kafka()

    def _add(self, figure: str, value: float, life: str = "") -> None:
        self.points[figure].append(Point(life, time.monotonic() - self._begin_s, value))

    def _look_at(self, worker: WorkerProcess) -> None:
        if not worker.running or worker.stopped:
            return
        life, process = f"{worker.name} {worker.num_starts}", Path(f"/proc/{worker.pid}")
        memory_bytes = int((process / "statm").read_text().split()[1]) * PAGE_BYTES
        num_files, num_threads = (len(list((process / name).iterdir())) for name in ("fd", "task"))
        self._add("memory_mb", memory_bytes / 1e6, life)
        self._add("num_files", num_files, life)
        self._add("num_threads", num_threads, life)
        self._add("lag_records", worker.metric("lag_records"), life)

    def _look_at_redis(self) -> None:
        url = self._scene.workplace.stack.redis
        with contextlib.suppress(redis.RedisError), redis.Redis.from_url(url, socket_timeout=REDIS_TIMEOUT_S) as client:
            self._add("redis_keys", client.dbsize())
            self._add("redis_mb", client.info("memory")["used_memory"] / 1e6)

    def _look_at_kafka(self) -> None:
        servers = self._scene.workplace.settings.kafka.split(",")
        with contextlib.suppress(KafkaError, OSError), KafkaAdminClient(bootstrap_servers=servers) as admin:
            listed = admin.list_transactions()
            states = [one.state for of_node in listed.values() for one in of_node]
            self._add(
                "transactions", sum(state not in {"CompleteCommit", "CompleteAbort", "Empty"} for state in states)
            )
