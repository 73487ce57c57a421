"""Feeds workers at a steady rate for a long time, with a fault every now and then, and looks at everything."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from random import Random
from threading import Event
from typing import Any

from kafka import KafkaProducer

from tests import kafka_tools
from tests.faults.catalogue import WEIGHTS
from tests.faults.run import SETTINGS, Run
from tests.kafka_tools import TIMEOUT_S
from tests.soak.accounts import Accounts, settle_accounts
from tests.soak.samples import Sampler
from tests.system.inputs import Input, poison, tweets
from tests.system.scene import Scene
from tests.system.verifier import positions_behind
from tests.system.worker_process import WorkerProcess
from tests.workplace import new_workplace
from worker.stack import LocalStack

NUM_WORKERS = 3  # the first one meets no fault of its own, so that a leak has time to show
NUM_PARTITIONS = 6
TICK_S = 0.1
POLL_S = 0.2
CHUNK_RECORDS = 50
POISON_EVERY = 500  # records
BACKLOG_RECORDS = 20_000
MAX_DRAIN_S = 300.0  # of the backlog by whose rate the load is chosen
SETTLE_TIMEOUT_S = 300.0
NUM_READ_STREAMS = 20  # by the oracle


@dataclass(frozen=True)
class Plan:
    """What to run. rate: records a second; 0: half of what the workers drain at the start."""

    run_s: float
    rate: float = 0.0
    fault_every_s: float = 60.0
    sample_every_s: float = 5.0
    num_streams: int = 5_000
    seed: int = 1


@dataclass(frozen=True)
class Outcome:
    """What was found. restarts: processes beyond the first of each worker, faults included."""

    rate: float
    run_s: float
    faults: Counter[str]
    restarts: int
    sampler: Sampler
    accounts: Accounts


class _Run(Run):
    """The faults are those of the other workers."""

    def any_worker(self) -> WorkerProcess:
        return self.random.choice(self.scene.workers[1:])


def soak(stack: LocalStack, checkpoint: Path, folder: Path, plan: Plan) -> Outcome:
    """Run `plan` on topics and a group of its own. Raises AssertionError when workers do not come to an end."""
    settings: dict[str, Any] = SETTINGS | {"partitions": NUM_PARTITIONS, "flush_interval_s": 0.5}
    workplace = new_workplace(stack, inputs=("tweets",), **settings)
    workplace.create_topics()
    scene = Scene(workplace, checkpoint, folder)
    run = _Run(scene, plan.seed, 0)
    streams = [f"stream-{number}" for number in range(plan.num_streams)]
    try:
        rate = plan.rate or _measure_rate(scene, streams) / 2
        _launch_missing(scene)
        scene.wait_until(lambda: all(worker.answers() for worker in scene.workers), SETTLE_TIMEOUT_S)
        sampler = Sampler(scene, plan.sample_every_s)
        with _feeding(scene, rate, streams, plan.seed), sampler.sampling():
            _inject_faults(run, plan)
        _settle(scene, max(SETTLE_TIMEOUT_S, plan.run_s))
        scene.drain()
        accounts = settle_accounts(workplace, scene.oracle, frozenset(streams[:NUM_READ_STREAMS]))
    finally:
        scene.close()
    restarts = sum(worker.num_starts - 1 for worker in scene.workers)
    return Outcome(rate, plan.run_s, run.injected, restarts, sampler, accounts)


def _launch_missing(scene: Scene) -> None:
    for _ in range(NUM_WORKERS - len(scene.workers)):
        scene.launch_worker()


def _measure_rate(scene: Scene, streams: Sequence[str]) -> float:
    """Records a second that the workers drain from a backlog, from their first commit on."""
    settings, topic = scene.workplace.settings, scene.workplace.topic
    inputs = islice(_inputs(streams, seed=0), BACKLOG_RECORDS)
    kafka_tools.produce(settings.kafka, topic, (one.keyed(settings.partitions) for one in inputs))
    _launch_missing(scene)
    moments: list[tuple[float, int]] = []
    deadline_s = time.monotonic() + MAX_DRAIN_S
    while not moments or moments[-1][1] < BACKLOG_RECORDS:
        if time.monotonic() > deadline_s:
            raise AssertionError(f"{BACKLOG_RECORDS:,} records are not drained after {MAX_DRAIN_S:g} s")
        done = sum(kafka_tools.committed(settings.kafka, settings.group).values())
        if done:
            moments.append((time.monotonic(), done))
        time.sleep(POLL_S)
    (begin_s, first), (end_s, last) = moments[0], moments[-1]
    return (last - first) / (end_s - begin_s) if last > first else BACKLOG_RECORDS / POLL_S


def _inputs(streams: Sequence[str], seed: int) -> Iterator[Input]:
    """Tweets without end, of the present, with a record now and then that cannot be scored."""
    bad = list(poison("poison"))
    number = 0
    for chunk in count():
        for one in tweets(CHUNK_RECORDS, 1_000_000 * seed + chunk, streams):
            number += 1
            yield bad[number // POISON_EVERY % len(bad)] if number % POISON_EVERY == 0 else one


@contextmanager
def _feeding(scene: Scene, rate: float, streams: Sequence[str], seed: int) -> Iterator[None]:
    """Send `rate` records a second in the background; leaving waits until all are acknowledged."""
    stop = Event()
    with ThreadPoolExecutor(1) as pool:
        fed = pool.submit(_feed, scene, rate, _inputs(streams, seed), stop)
        try:
            yield
        finally:
            stop.set()
        fed.result(SETTLE_TIMEOUT_S)


def _feed(scene: Scene, rate: float, inputs: Iterator[Input], stop: Event) -> None:
    """Each record on time or as soon as Kafka takes it. Raises KafkaError where it takes one not at all."""
    settings, topic = scene.workplace.settings, scene.workplace.topic
    refused: list[BaseException] = []
    begin_s, num_sent = time.monotonic(), 0
    with KafkaProducer(bootstrap_servers=settings.kafka.split(","), acks="all", linger_ms=5) as producer:
        while not stop.wait(TICK_S):
            due = int(rate * (time.monotonic() - begin_s))
            for one in islice(inputs, due - num_sent):
                record = one.keyed(settings.partitions)
                producer.send(
                    topic, record.value, record.key, partition=record.partition, timestamp_ms=record.timestamp_ms
                ).add_errback(refused.append)
            num_sent = due
        producer.flush(TIMEOUT_S)
    if refused:
        raise refused[0]


def _inject_faults(run: Run, plan: Plan) -> None:
    """Until the end: each fault once in an order that the seed decides, then each once more."""
    begin_s = time.monotonic()
    faults = _faults(run.random)
    next_s = begin_s + plan.fault_every_s
    while (now_s := time.monotonic()) < begin_s + plan.run_s:
        if now_s >= next_s:
            next(faults)(run)
            next_s += plan.fault_every_s
        run.scene.supervise()
        time.sleep(TICK_S)


def _faults(random: Random) -> Iterator[Any]:
    while True:
        yield from random.sample(list(WEIGHTS), len(WEIGHTS))


def _settle(scene: Scene, timeout_s: float) -> None:
    """Wait until all of the input is committed and flushed; what other work held up may take as long as the run."""
    workplace = scene.workplace
    settings = workplace.settings
    ends = {tp: end for tp, end in kafka_tools.ends(settings.kafka, workplace.topic).items() if end}
    scene.wait_until(lambda: kafka_tools.committed(settings.kafka, settings.group) == ends, timeout_s)
    scene.wait_while(lambda: positions_behind(workplace, scene.oracle), timeout_s)
