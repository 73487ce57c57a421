"""The worker's consumer over the simulated cluster: its own bookkeeping, with models of Faust and the fetch thread."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from aiokafka.errors import KafkaError
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest

from tests.simulation.kafka_model.brokers import SimulatedBrokers
from worker.errors import SentimentError
from worker.kafka.assignment import Assignment, PartitionHandler
from worker.kafka.brokers import GROUP
from worker.kafka.consumer import BatchConsumer
from worker.kafka.fetch_thread import Fetched
from worker.kafka.microbatch import InFlight, MicroBatch, Pacing
from worker.kafka.protocol.codes import ErrorCode
from worker.kafka.protocol.offsets import Membership
from worker.process import die
from worker.records.types import TopicPartition
from worker.settings import Settings

_FETCH_WAIT_S = 0.25
_HANDOVER_S = 0.002
_MEMBER_ID_REQUIRED = 79
_JOIN_RETRY_S = 0.1


class Record(NamedTuple):
    """The fields of aiokafka's ConsumerRecord that the worker reads."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


class FetchThread:
    """What the thread that owns the aiokafka consumer does."""

    def __init__(self, brokers: SimulatedBrokers) -> None:
        self._brokers = brokers
        self.seek_number = -1
        self.assigned: frozenset[TopicPartition] = frozenset()
        self.offsets: dict[TopicPartition, int] = {}

    async def seek_all(self, seek_number: int, positions: Mapping[TopicPartition, int]) -> None:
        """See BatchConsumerThread.seek_all."""
        self.seek_number = seek_number
        self.offsets = {tp: offset for tp, offset in positions.items() if tp in self.assigned}

    async def fetch(self) -> Fetched:
        """See BatchConsumerThread._fetch_records: what was asked before a seek is dropped, as aiokafka does."""
        asked, number = dict(self.offsets), self.seek_number
        if not asked:
            await asyncio.sleep(_FETCH_WAIT_S)
            return Fetched(self.seek_number, {}, {})
        try:
            answers = await self._brokers.fetch(asked, _FETCH_WAIT_S)
        except KafkaError:
            await asyncio.sleep(_JOIN_RETRY_S)
            return Fetched(self.seek_number, {}, {})
        if number != self.seek_number:
            return Fetched(self.seek_number, {}, {})
        records = {}
        lost = frozenset(tp for tp, answer in answers.items() if answer is None)
        positions = {}
        for tp, answer in answers.items():
            if answer is None:
                continue
            entries, position, end = answer
            self.offsets[tp] = position
            positions[tp] = position, end
            if entries:
                records[tp] = [Record(*tp, e.offset, e.timestamp, e.key, e.value, e.headers) for e in entries]
        return Fetched(self.seek_number, records, positions, lost)


class SimulatedConsumer:
    """Stands for the Faust app and its consumer. Fetched records go through BatchConsumer's own methods."""

    positions: Any = BatchConsumer.positions
    idle_positions: Any = BatchConsumer.idle_positions
    reseek: Any = BatchConsumer.reseek
    done: Any = BatchConsumer.done
    _receive: Any = BatchConsumer._receive
    _deliver: Any = BatchConsumer._deliver
    _drop_fetched: Any = BatchConsumer._drop_fetched

    def __init__(self, settings: Settings, handler: PartitionHandler, brokers: SimulatedBrokers) -> None:
        self._settings = self._limits = settings
        self.pacing = Pacing(settings.max_wait_ms / 1000)
        self._handler = handler
        self._brokers = brokers
        self._thread = FetchThread(brokers)
        self._flow = asyncio.Event()
        batches: Any = asyncio.Queue()
        batches.force_put_nowait = batches.put_nowait
        self._batches = batches
        self._seek_number = 0
        self._waiting: list[MicroBatch] = []
        self.in_flight = InFlight(settings)
        self._positions: dict[TopicPartition, tuple[int, int]] = {}
        self._membership: Membership | None = None
        self._assigned_counts: dict[str, int] | None = None  # of the group's leader

    @property
    def consumer(self) -> SimulatedConsumer:
        """The app's consumer."""
        return self

    @property
    def flow_active(self) -> bool:
        """Whether partitions are assigned."""
        return self._flow.is_set()

    def _queue_for(self, tp: TopicPartition) -> Any:
        return self._batches

    async def _in_thread(self, call: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        await asyncio.sleep(_HANDOVER_S)
        return await call(*arguments)

    async def ask_brokers(self) -> None:
        """See BatchConsumer.ask_brokers."""
        await self._brokers.num_partitions(self._settings.topics[0])

    async def take_batches(self, process: Callable[[MicroBatch], Awaitable[None]]) -> None:
        """The agent: one MicroBatch after the other."""
        while True:
            await process(await self._batches.get())

    async def fetch_records(self) -> None:
        """See BatchConsumer._drain_messages."""
        while True:
            await self.in_flight.wait_for_room(lambda: False)
            fetched = await self._thread.fetch()
            await asyncio.sleep(_HANDOVER_S)
            await self._flow.wait()
            if fetched.seek_number == self._seek_number:
                self._receive(fetched)

    # the group

    async def stay_in_group(self) -> None:
        """Join, heartbeat and join again, as aiokafka's coordinator does; everything is revoked before (eager)."""
        member_id = ""
        while True:
            membership = await self._join(member_id)
            if membership is not None:
                await self._heartbeat(membership)
                member_id = self._membership.member_id if self._membership is not None else ""
            else:
                member_id = ""
                await asyncio.sleep(_JOIN_RETRY_S)

    async def _join(self, member_id: str) -> Membership | None:
        settings = self._settings
        while True:
            request = JoinGroupRequest(
                settings.group,
                int(settings.session_timeout_s * 1000),
                int(settings.rebalance_timeout_s * 1000),
                member_id,
                settings.instance_id,
                "consumer",
                [("range", b"")],
            )
            try:
                response = await self._brokers.ask_waiting(request, settings.rebalance_timeout_s + 5)
            except KafkaError:
                await asyncio.sleep(_JOIN_RETRY_S)
                continue
            if response.error_code != _MEMBER_ID_REQUIRED:
                break
            member_id = response.member_id
        self._check_instance(response.error_code)
        if response.error_code != ErrorCode.NONE:
            return None
        membership = Membership(response.generation_id, response.member_id, settings.instance_id)
        assigned: list[tuple[str, bytes]] = []
        self._assigned_counts = None
        if response.leader_id == response.member_id:
            assigned = await self._assign([member for member, *_ in response.members])
        return await self._sync(membership, assigned)

    async def _assign(self, members: list[str]) -> list[tuple[str, bytes]]:
        counts = self._assigned_counts = await self._partition_counts()
        tps = [(topic, number) for topic, count in sorted(counts.items()) for number in range(count)]
        chosen = sorted(members)
        return [(one, json.dumps(tps[i :: len(chosen)]).encode()) for i, one in enumerate(chosen)]

    async def _partition_counts(self) -> dict[str, int]:
        return {topic: await self._brokers.num_partitions(topic) for topic in self._settings.topics}

    async def _topics_changed(self) -> bool:
        """Whether the group's leader sees other partitions than it has assigned."""
        if self._assigned_counts is None:
            return False
        await self._brokers.refresh(self._settings.topics)
        return await self._partition_counts() != self._assigned_counts

    async def _sync(self, membership: Membership, assigned: list[tuple[str, bytes]]) -> Membership | None:
        generation, member_id, instance_id = membership
        request = SyncGroupRequest(
            self._settings.group,
            generation,
            member_id,
            instance_id,
            assigned,
        )
        try:
            response = await self._brokers.ask_waiting(request, self._settings.session_timeout_s)
        except KafkaError:
            return None
        self._check_instance(response.error_code)
        if response.error_code != ErrorCode.NONE:
            return None
        found = json.loads(response.member_assignment or b"[]")
        self._thread.assigned = frozenset(TopicPartition(*one) for one in found)
        self._membership = membership
        self._handler.on_assigned(Assignment(self._thread.assigned, membership, self.reseek))
        await self.reseek()
        self._flow.set()
        return membership

    async def _heartbeat(self, membership: Membership) -> None:
        """Until the group rebalances or has expelled us; then everything is revoked, beside further heartbeats."""
        await self._beat(membership, until_rebalance=True)
        beating = asyncio.create_task(self._beat(membership, until_rebalance=False))
        self._flow.clear()
        self._drop_fetched()
        await self._handler.on_revoked()
        self._thread.assigned, self._thread.offsets = frozenset(), {}
        beating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beating

    async def _beat(self, membership: Membership, *, until_rebalance: bool) -> None:
        settings, loop = self._settings, asyncio.get_running_loop()
        answered_s = loop.time()
        request = HeartbeatRequest(settings.group, membership.generation, membership.member_id)
        while True:
            await asyncio.sleep(settings.heartbeat_interval_s)
            try:
                response = await self._brokers.ask(1, request)
            except KafkaError:
                if loop.time() - answered_s > settings.session_timeout_s:
                    self._membership = None
                    return
                continue
            answered_s = loop.time()
            if response.error_code == ErrorCode.REBALANCE_IN_PROGRESS and until_rebalance:
                return
            if response.error_code in {ErrorCode.ILLEGAL_GENERATION, ErrorCode.UNKNOWN_MEMBER_ID}:
                self._membership = None
                return
            self._check_instance(response.error_code)
            if until_rebalance and await self._topics_changed():
                return

    def _check_instance(self, code: int) -> None:
        if code == ErrorCode.FENCED_INSTANCE_ID:
            die(SentimentError("another member has this instance id"))

    async def leave(self) -> None:
        """Drain, and leave the group; a static member does not."""
        self._flow.clear()
        self._drop_fetched()
        await self._handler.on_revoked()
        if self._membership is not None and self._settings.instance_id is None:
            request = LeaveGroupRequest(self._settings.group, self._membership.member_id)
            with contextlib.suppress(KafkaError):
                await self._brokers.ask_coordinator(GROUP, self._settings.group, request, lambda r: (r.error_code,))
