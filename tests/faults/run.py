"""One run of a fault: two workers, records that flow in the background, and what was injected when."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from tests import kafka_tools
from tests.faults.measurements import Injection, ReplayCounter
from tests.kafka_tools import TIMEOUT_S
from tests.system.inputs import Input, Sent, mixed, tweets
from tests.system.oracle import Expectation
from tests.system.scene import QUICK, Scene
from tests.system.verifier import IdField
from tests.system.worker_process import WorkerProcess
from worker.stack import LocalStack

NUM_WORKERS = 2
RATE = 200  # records per second
TICK_S = 0.1
POLL_S = 0.02
SUPERVISION_S = 3.0  # between two looks at the workers
SESSION_S = 6.0
SETTLE_TIMEOUT_S = 90.0
TRANSACTION_S = 30.0
MAX_RECOVERY_S = 0.8 * TRANSACTION_S  # a take-over must not wait until a predecessor's transaction times out
SETTINGS: dict[str, Any] = QUICK | {
    "session_timeout_s": SESSION_S,
    "rebalance_timeout_s": 30,
    "transaction_timeout_s": TRANSACTION_S,
    "commit_timeout_s": 20,
    "revoke_timeout_s": 20,
    "log_format": "json",
}


@dataclass(frozen=True)
class Verdict:
    """What the output is compared with: see `verify`."""

    expectation: Expectation
    id_field: IdField


class Run:
    """What the faults act on.

    verdict: None to expect one event for each record in the input topics.
    must_not_restart: whether a worker that ends by itself counts as a difference.
    """

    verdict: Verdict | None = None
    must_not_restart = False

    def __init__(self, scene: Scene, seed: int, num_records: int, *, static: bool = False) -> None:
        scene.supervised = True
        self.scene = scene
        self.seed = seed
        self.num_records = num_records
        self.random = Random(seed)
        self.snapshots: list[Path] = []
        self.injected: Counter[str] = Counter()
        self.injections: list[Injection] = []
        self.replays = ReplayCounter()
        self.extra_workers: list[WorkerProcess] = []
        self._static = static
        self._num_tweets = 0

    @property
    def stack(self) -> LocalStack:
        """The servers."""
        return self.scene.workplace.stack

    @property
    def workers(self) -> list[WorkerProcess]:
        """Every worker of the run, those included that were only there for a while."""
        return self.scene.workers + self.extra_workers

    def start_workers(self, **of_first: Any) -> None:
        """Start the workers, the first one with settings of its own, and wait until all are ready."""
        for number in range(NUM_WORKERS):
            # some keep all their states in memory, others have to read them from Redis
            flags: dict[str, Any] = {"max_cached_streams": self.random.choice((12, 1000)), "max_batch": 64}
            flags |= {"instance_id": f"member-{number}"} if self._static else {}
            self.scene.launch_worker(**(flags | (of_first if number == 0 else {})))
        self.wait_for_workers()

    def wait_for_workers(self) -> None:
        """Wait until every worker is ready."""
        self.scene.wait_until(lambda: all(worker.answers() for worker in self.scene.workers), SETTLE_TIMEOUT_S)

    def settle(self) -> None:
        """Wait until everything is committed and flushed, and let the workers drain."""
        self.wait_for_workers()
        self.scene.wait_until_flushed(SETTLE_TIMEOUT_S)
        for worker in self.scene.workers:
            self.replays.sample(worker)
        self.scene.drain()

    def any_worker(self) -> WorkerProcess:
        """A worker, chosen by the seed."""
        return self.random.choice(self.scene.workers)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for something to happen by itself, more closely than `Scene.wait_until`. Raises AssertionError."""
        deadline = time.monotonic() + SETTLE_TIMEOUT_S
        while not self._holds(condition):
            assert time.monotonic() < deadline, f"it did not happen within {SETTLE_TIMEOUT_S:g} s"
            time.sleep(POLL_S)

    @staticmethod
    def _holds(condition: Callable[[], bool]) -> bool:
        try:
            return condition()
        except KafkaError:  # of a broker that dies or starts
            return False

    def pause_within(self, least_s: float, most_s: float) -> None:
        """Sleep for a time chosen by the seed."""
        time.sleep(self.random.uniform(least_s, most_s))

    def inject(self, name: str, victim: WorkerProcess | None = None) -> Injection:
        """Note that a fault happens now; with a victim, the recovery of its partitions is measured."""
        self.injected[name] += 1
        if victim is None:
            return Injection(time.time())
        self.replays.sample(victim)
        self.injections.append(Injection(time.time(), victim.name))
        return self.injections[-1]

    def send_tweets(self, count: int, streams: Sequence[str] | None = None) -> list[Sent]:
        """Send `count` tweets at once, whose record ids are not repeated in the run."""
        self._num_tweets += count
        seed = 1000 * self.seed + self._num_tweets
        inputs = tweets(count, seed, streams) if streams else tweets(count, seed)
        return self.scene.send(
            replace(one, record_id=f"{self._num_tweets}-{number}") for number, one in enumerate(inputs)
        )

    @contextmanager
    def feeding(self, count: int | None = None) -> Iterator[None]:
        """Send `count` records, by default all, at RATE in the background; leaving waits until all are acknowledged."""
        inputs = list(mixed(count or self.num_records, 1000 * self.seed + len(self.scene.sent)))
        with ThreadPoolExecutor(1) as pool:
            fed = pool.submit(_feed, self.scene, inputs)
            try:
                yield
                while not fed.done():
                    self.scene.supervise()
                    time.sleep(TICK_S)
            finally:
                self.scene.sent += fed.result()

    def wait_for_events(self, count: int, timeout_s: float) -> None:
        """Wait for `count` events. Unlike `Scene.wait_until` it gives up silently: the verifier judges."""
        settings = self.scene.workplace.settings
        deadline = time.monotonic() + timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            self.scene.supervise()
            try:
                kafka_tools.read_count(
                    settings.kafka, settings.events_topic, count=count, timeout_s=min(left_s, SUPERVISION_S)
                )
            except TimeoutError:
                continue
            return


Action = Callable[[Run], None]


def _feed(scene: Scene, inputs: Iterable[Input]) -> list[Sent]:
    """Send the inputs at a steady rate, each chunk on time or as soon as Kafka takes it."""
    settings, topic = scene.workplace.settings, scene.workplace.topic
    begin_s, futures = time.monotonic(), []
    with KafkaProducer(bootstrap_servers=settings.kafka.split(","), acks="all", linger_ms=5) as producer:
        for number, one in enumerate(inputs):
            time.sleep(max(0.0, begin_s + number // (RATE * TICK_S) * TICK_S - time.monotonic()))
            record = one.keyed(settings.partitions)
            future = producer.send(
                topic, key=record.key, value=record.value, partition=record.partition, timestamp_ms=record.timestamp_ms
            )
            futures.append((one, future))
        producer.flush(TIMEOUT_S)
        places = [(one, future.get(TIMEOUT_S)) for one, future in futures]
    return [Sent(topic, place.partition, place.offset, one) for one, place in places]
