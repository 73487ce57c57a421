"""A simulated world: an input, workers that are started again when they die, servers, and what happens to them."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, NamedTuple

from tests.simulation.kafka_model.brokers import SimulatedBrokers
from tests.simulation.kafka_model.cluster import Cluster
from tests.simulation.kafka_model.log import PartitionLog, ProducerState
from tests.simulation.loop import PROCESS, Process, SimulatedLoop
from tests.simulation.network import Network
from tests.simulation.redis_model import RedisServer, SimulatedRedis
from tests.simulation.worker.engine import POISON, ChainEngine
from tests.simulation.worker.worker_process import BASE_SETTINGS, GROUP, TOPICS, WorkerProcess, simulated_process_calls
from worker.errors import SentimentError
from worker.records.types import TopicPartition

NUM_PARTITIONS = 2
_NUM_STREAMS = 5
_UPSTREAM_PRODUCER_ID = 7
_HOLD_POLL_S, _HOLD_BOUND_S = 0.2, 60.0
_MAX_RESTART_S = 1.0
_MAX_TAKE_OVER_S = 0.7

logger = logging.getLogger("worker")


@dataclass
class InputRecord:
    """What was written to the input: `record_id` is its own for ever, offsets are not."""

    record_id: str
    tp: TopicPartition
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    may_be_lost: bool = False
    may_be_repeated: bool = False


@dataclass
class Slot:
    """A place for a worker: one process at a time."""

    name: str
    instance_id: str | None
    flush_interval_s: float
    process: Process | None = None
    worker: WorkerProcess | None = None
    wanted: bool = True
    num_lives: int = 0


class PointAction(NamedTuple):
    """What happens when a worker reaches a crash point often enough. slot: None for any worker."""

    slot: str | None
    point: str
    num_left: int
    action: Callable[[Slot], None]


@dataclass
class World:
    """Everything of one seed."""

    seed: int
    num_records: int
    loop: SimulatedLoop = field(init=False)
    records: dict[str, InputRecord] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    deaths: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    held: set[TopicPartition] = field(default_factory=set)
    at_point: PointAction | None = None
    fed: bool = False
    disturbed_s: float = 0.0  # when a network or a process was last out of order
    claimed_s: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.loop = SimulatedLoop(self.seed)
        self.choices = random.Random(f"world {self.seed}")
        self._trace = blake2b(digest_size=16)
        self.cluster = Cluster(self.loop)
        self.redis = RedisServer(self.loop, self.problems)
        timeout_s = BASE_SETTINGS.request_timeout_s
        self.kafka_network = Network(self.loop, "kafka", self.trace, timeout_s)
        self.redis_network = Network(self.loop, "redis", self.trace, timeout_s)
        for topic in TOPICS:
            self.cluster.create_topic(topic, NUM_PARTITIONS)
        for topic in self.output_topics:
            self.cluster.create_topic(topic, NUM_PARTITIONS)
        self.slots: list[Slot] = []

    @property
    def output_topics(self) -> tuple[str, str, str]:
        """Events, shifts, dead letters."""
        settings = BASE_SETTINGS
        return settings.events_topic, settings.shifts_topic, settings.deadletters_topic

    @property
    def tps(self) -> list[TopicPartition]:
        """The input partitions that exist."""
        return [
            TopicPartition(topic, number)
            for topic in TOPICS
            if topic in self.cluster.topics
            for number in range(len(self.cluster.topics[topic].logs))
        ]

    def log(self, tp: TopicPartition) -> PartitionLog:
        """The log of a partition that exists."""
        log = self.cluster.log(tp)
        assert log is not None
        return log

    def trace(self, server: str, process: Process | None, what: str, _: Any) -> None:
        """Note that a server answered."""
        self._trace.update(f"{self.loop.time():.6f} {server} {process} {what}\n".encode())

    def digest(self) -> str:
        """A hash of everything that happened: equal for equal seeds."""
        final = self._trace.copy()
        for name, topic in sorted(self.cluster.topics.items()):
            for log in topic.logs:
                found = [(e.offset, e.key, e.value, e.commits) for e in log.entries]
                final.update(f"{name} {found}".encode())
        final.update(repr(sorted(self.redis.data.items())).encode())
        return final.hexdigest()

    # workers

    def add_slot(self, *, static: bool, flush_interval_s: float) -> Slot:
        """Start one more worker."""
        name = f"w{len(self.slots)}"
        slot = Slot(name, f"host-{name}" if static else None, flush_interval_s)
        self.slots.append(slot)
        self.start(slot)
        return slot

    def start(self, slot: Slot) -> None:
        """Start the next life of a worker."""
        slot.num_lives += 1

        async def main() -> None:
            update = {"instance_id": slot.instance_id, "flush_interval_s": slot.flush_interval_s}
            settings = BASE_SETTINGS.model_copy(update=update)
            brokers = SimulatedBrokers(self.cluster, self.kafka_network)
            redis = SimulatedRedis(self.redis, self.redis_network)
            slot.worker = WorkerProcess(self.loop, brokers, redis, settings, lambda name: self._reached(slot, name))
            await slot.worker.run()

        async def main_or_problem() -> None:
            try:
                await main()
            except Exception as error:
                self.problems.append(f"{slot.name} ends by {type(error).__name__}: {error}")

        slot.process = self.loop.new_process(f"{slot.name}/{slot.num_lives}", main_or_problem)

    def _reached(self, slot: Slot, point: str) -> None:
        self.points[point] += 1
        self._check_take_over(slot, point)
        waiting = self.at_point
        if waiting is not None and waiting.point == point and waiting.slot in {None, slot.name}:
            self.at_point = waiting._replace(num_left=waiting.num_left - 1) if waiting.num_left > 1 else None
            if waiting.num_left == 1:
                waiting.action(slot)

    def _check_take_over(self, slot: Slot, point: str) -> None:
        """With servers and network in order, a take-over takes less than a transaction's time-out."""
        now_s = self.loop.time()
        if self.is_disturbed:
            self.disturbed_s = now_s
        if point == "claimed":
            self.claimed_s[slot.name] = now_s
        elif point == "planned":
            claimed_s = self.claimed_s[slot.name]
            if self.disturbed_s < claimed_s and now_s - claimed_s > _MAX_TAKE_OVER_S:
                self.problems.append(f"{slot.process} took {now_s - claimed_s:.1f} s to take over")

    @property
    def is_disturbed(self) -> bool:
        """Whether anything keeps requests from being answered at once."""
        paused = any(slot.process is not None and slot.process.paused for slot in self.slots)
        return paused or any(network.is_disturbed for network in (self.kafka_network, self.redis_network))

    async def supervise(self) -> None:
        """Start workers again that died."""
        while True:
            await asyncio.sleep(0.1)
            if self.is_disturbed:
                self.disturbed_s = self.loop.time()
            for slot in self.slots:
                process = slot.process
                if process is not None and not process.alive:
                    self.deaths[process.exit_reason or ""] += 1
                    slot.process = slot.worker = None
                    if slot.wanted:
                        self.loop.in_world(self.choices.random() * _MAX_RESTART_S, self.start, slot)

    # input

    async def feed(self, seconds: float) -> None:
        """Write the input over a time; partitions that are held get theirs later."""
        waiting: dict[TopicPartition, list[InputRecord]] = {}
        for number in range(self.num_records):
            await asyncio.sleep(self.choices.random() * 2 * seconds / self.num_records)
            record = self._new_record(number)
            waiting.setdefault(record.tp, []).append(record)
            self._write(waiting)
        while any(waiting.values()):
            await asyncio.sleep(_HOLD_POLL_S)
            self._write(waiting)
        self.fed = True

    def _write(self, waiting: dict[TopicPartition, list[InputRecord]]) -> None:
        for tp, records in waiting.items():
            log = self.cluster.log(tp)
            if tp in self.held or log is None or not records:
                continue
            chance = self.choices.random()
            if chance < 0.1:
                self._write_in_transaction(log, tp, records, commit=chance < 0.05)
            if chance >= 0.05:
                log.append(records)
                self.records |= {record.record_id: record for record in records}
            waiting[tp] = []
        self.cluster.wake_readers()

    def _write_in_transaction(
        self, log: PartitionLog, tp: TopicPartition, records: list[InputRecord], *, commit: bool
    ) -> None:
        """As an upstream producer does; an aborted one writes the same records again."""
        first = log.append(records, _UPSTREAM_PRODUCER_ID)
        log.producers[_UPSTREAM_PRODUCER_ID] = ProducerState(0, open_since=first)
        log.mark(_UPSTREAM_PRODUCER_ID, 0, commit=commit, now_ms=records[0].timestamp)
        if commit:
            self.records |= {record.record_id: record for record in records}

    def _new_record(self, number: int) -> InputRecord:
        choices = self.choices
        tp = TopicPartition(choices.choice(TOPICS), choices.randrange(NUM_PARTITIONS))
        stream = f"@{tp.topic[0]}{tp.partition}{choices.randrange(_NUM_STREAMS)}"
        record_id, now_ms = f"r{number}", int(self.loop.time() * 1000)
        chance = choices.random()
        text = POISON if chance < 0.03 else f"text {number}"
        body: bytes | None = json.dumps({"id": record_id, "text": text, "time": now_ms / 1000}).encode()
        if chance > 0.98:
            body = None
        elif chance > 0.95:
            body = b"not json " + record_id.encode()
        return InputRecord(record_id, tp, now_ms, stream.encode(), body, (("id", record_id.encode()),))

    async def hold(self, tps: list[TopicPartition]) -> None:
        """Write nothing to a log that was cut or created again until every worker has noticed."""
        self.held |= set(tps)
        deadline = self.loop.time() + _HOLD_BOUND_S
        while not all(self._is_noticed(tp) for tp in tps):
            if self.loop.time() > deadline:
                self.problems.append(f"nobody notices that {tps} changed")
                break
            await asyncio.sleep(_HOLD_POLL_S)
        self.held -= set(tps)

    def rebalance_without_leader(self, topic: str) -> None:
        """A static leader that restarts does not know that it leads (KIP-814), and assigns no partitions that are new.

        Until the membership changes nobody does; here it changes.
        """
        assigned = {tp for slot in self.slots if slot.worker for tp in slot.worker.consumer.assigned}
        if not any(tp.topic == topic for tp in assigned):
            self.faults["rebalanced_for_static_leader"] += 1
            self.cluster.group(GROUP).rebalance()

    def _is_noticed(self, tp: TopicPartition) -> bool:
        log, group = self.cluster.log(tp), self.cluster.group(GROUP)
        if log is None or group.offsets.is_unstable(tp):
            return False
        offset = group.offsets.committed.get(tp)
        if offset is not None and offset.offset > log.offset:
            return False
        topic_id = self.cluster.topics[tp.topic].topic_id.hex()
        for slot in self.slots:
            worker = slot.worker
            if worker is None or slot.process is None or not slot.process.alive:
                continue
            partition = worker.manager.partitions.get(tp)
            taking = worker.manager._taking
            if taking is not None and not taking.done():
                return False
            if worker.consumer.in_flight.has(tp):
                return False
            if partition is not None and partition.owned:
                is_known = partition.topic.topic_id.endswith(topic_id)
                if not is_known or partition.taken > log.offset or partition.committed > log.offset:
                    return False
        return True

    def stored(self, tp: TopicPartition) -> dict[bytes, bytes]:
        """What Redis holds of a partition, beside its states."""
        key = f"{{{GROUP}:{tp.topic}:{tp.partition}}}:{ChainEngine.fingerprint}:meta"
        found: dict[bytes, bytes] = self.redis.data.get(key.encode(), {})
        return found

    @property
    def is_settled(self) -> bool:
        """Whether everything is read, committed and flushed."""
        group = self.cluster.group(GROUP)
        open_transactions = any(t.is_open for t in self.cluster.coordinator.transactions.values())
        if not self.fed or self.held or open_transactions:
            return False
        for tp in self.tps:
            offset = group.offsets.committed.get(tp)
            if not self.log(tp).offset:
                stored_id = self.stored(tp).get(b"topic_id", b"").decode()
                if stored_id and not stored_id.endswith(self.cluster.topics[tp.topic].topic_id.hex()):
                    return False
                continue
            if offset is None or offset.offset != self.log(tp).offset:
                return False
            owners = [
                slot.worker.manager.partitions[tp]
                for slot in self.slots
                if slot.worker is not None and tp in slot.worker.manager.partitions
            ]
            if not any(one.owned and one.is_flushed and not one.lost for one in owners):
                return False
            if self.stored(tp).get(b"position") != str(self.log(tp).offset).encode():
                return False
        return True


class _Deaths(logging.Handler):
    """Notes workers that end by an error that the worker does not know."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.CRITICAL)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        process = PROCESS.get()
        if process is None or not process.alive:
            return
        if error is not None and not isinstance(error, SentimentError):
            self._world.problems.append(f"{process} died of {type(error).__name__}: {error}")


@contextmanager
def simulated(world: World) -> Iterator[None]:
    """What surrounds the run of a world, whose dead processes never finish."""
    handler, level, propagate = _Deaths(world), logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.CRITICAL)
    logger.propagate = False
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    world.loop.set_exception_handler(lambda *_: None)
    try:
        with simulated_process_calls(world.loop):
            try:
                yield
            finally:
                _close_tasks(world.loop)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
        world.loop.close()
        sys.unraisablehook = hook


def _close_tasks(loop: SimulatedLoop) -> None:
    """End what never ended, here: the garbage collector would run its finally-blocks in the real process."""
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        with suppress(BaseException):
            task.get_coro().close()
