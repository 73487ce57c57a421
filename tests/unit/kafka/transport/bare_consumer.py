"""A batch consumer without Faust around it: its handler, its thread and what it fetches are fakes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from types import SimpleNamespace
from typing import Any

from tests.factories.records import Record
from worker.kafka.transport.assignment import Assignment
from worker.kafka.transport.consumer import BatchConsumer
from worker.kafka.transport.fetch_thread import Fetched
from worker.kafka.transport.microbatch import HeldRecords, InFlight, MicroBatch
from worker.records.types import TopicPartition

FIRST, SECOND = TopicPartition("tweets", 0), TopicPartition("tweets", 1)
BOUND_S = 60
Partitions = list[TopicPartition]


def records(count: int, start: int = 0) -> list[Any]:
    return [Record(start + n, b"key", b"value") for n in range(count)]


class FakeHandler:
    """Owns what it says, and notes what it is called with; `error` is raised at an assignment."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.owned = {FIRST: 5}
        self.bounds: dict[TopicPartition, int] = {}
        self.assignments: list[Assignment] = []
        self.out_of_range: list[Collection[TopicPartition]] = []
        self.num_revoked = 0

    def positions(self) -> dict[TopicPartition, int]:
        return self.owned

    def bound(self, tp: TopicPartition) -> int | None:
        return self.bounds.get(tp)

    def on_assigned(self, assignment: Assignment) -> None:
        self.assignments.append(assignment)
        if self.error is not None:
            raise self.error

    def on_out_of_range(self, tps: Collection[TopicPartition]) -> None:
        self.out_of_range.append(tps)

    async def on_rejoining(self) -> None:
        assert self.num_revoked, "everything is let go of before"

    async def on_revoked(self) -> None:
        self.num_revoked += 1


class FakeThread:
    """The fetch thread: notes the seeks. Its coordinator says who we are."""

    def __init__(self) -> None:
        self.seeks: list[tuple[int, dict[TopicPartition, int]]] = []

    async def call_thread(self, call: Callable[..., Any], *arguments: Any) -> Any:
        return await call(*arguments)

    async def seek_all(self, seek_number: int, positions: dict[TopicPartition, int]) -> None:
        self.seeks.append((seek_number, dict(positions)))

    def _ensure_consumer(self) -> Any:
        return SimpleNamespace(_coordinator=SimpleNamespace(member_id="member"))


class BareConsumer(BatchConsumer):
    """Without Faust around it: one fetch comes back while the flow is stopped, and batches are only noted."""

    def __init__(self, *fetches: Fetched, handler: FakeHandler | None = None, instance_id: str = "") -> None:
        app: Any = SimpleNamespace(
            should_stop=False, conf=SimpleNamespace(consumer_group_instance_id=instance_id), topics=None
        )
        self.app = app
        self.can_resume_flow, self.suspend_flow = asyncio.Event(), asyncio.Event()
        new_event: Callable[[], Any] = asyncio.Event
        self._stopped, self._crashed = new_event(), new_event()
        self._limits = SimpleNamespace(max_inflight_records=100, max_inflight_bytes=100, max_batch=4)
        self.in_flight, self._positions = InFlight(self._limits), {}
        self._seek_number, self._waiting, self._held = 1, [], HeldRecords()
        self._fetches = list(fetches) or [fetched(1, {FIRST: records(2)})]
        self.handler: Any = handler or FakeHandler()
        self._handler = self.handler
        self.thread = FakeThread()
        any_thread: Any = self.thread
        self._thread = any_thread
        self.queued: list[MicroBatch] = []
        self.stop_flow()

    async def _wait_next_records(self, *_: Any, **__: Any) -> Any:
        if self._fetches:
            return self._fetches.pop(0), None
        self._stopped.set()
        return None, None

    async def wait(self, *events: Any, **_: Any) -> Any:
        (event,) = events
        await event.wait()

    def _queue_for(self, _: TopicPartition) -> Any:
        return SimpleNamespace(force_put_nowait=self.queued.append)

    @property
    def delivered(self) -> Partitions:
        """The partitions with records in a batch that an agent would find."""
        return [tp for batch in self.queued for tp in batch._records]


def fetched(seek_number: int, of: dict[TopicPartition, list[Any]], **more: Any) -> Fetched:
    return Fetched(seek_number, of, more.pop("positions", {}), **more)


def drain(
    consumer: BareConsumer, before_the_flow_goes_on: Callable[[BareConsumer], None] = lambda _: None
) -> Partitions:
    """What is delivered while the flow is stopped, before it goes on."""

    async def scenario() -> Partitions:
        draining = asyncio.create_task(consumer._drain_messages(consumer))
        for _ in range(10):
            await asyncio.sleep(0)
        early = list(consumer.delivered)
        before_the_flow_goes_on(consumer)
        consumer.resume_flow()
        await asyncio.wait_for(draining, BOUND_S)
        return early

    return asyncio.run(scenario())
