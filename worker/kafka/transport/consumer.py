"""Whole per-partition batches inside an ordinary `@app.agent`.

Stock Faust spends some 130 us of CPU on every record between consumer and agent, and its acknowledgements can commit
a record that no agent finished. Here the consumer puts a MicroBatch of raw records on the agent's queue instead. The
batch grows while it waits there. Faust commits nothing: offsets go into transactions (worker/kafka/transaction.py).

    fetch thread  aiokafka fetches; the result is stamped with the number of the last seek
    event loop    what was fetched before the last seek is dropped; the rest joins the waiting MicroBatch
    agent         takes the MicroBatch, and reports when its records are done: only then there is room for more

This file, fetch_thread.py and app.py alone touch Faust's private parts. A test holds every private name that they
use, with its signature, to the pinned versions of Faust and aiokafka.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from worker.errors import UnreadableBatchError
from worker.kafka.protocol.offsets import Membership
from worker.kafka.transport.assignment import Assignment
from worker.kafka.transport.fetch_thread import BatchConsumerThread, Fetched
from worker.kafka.transport.microbatch import HeldRecords, InFlight, MicroBatch, Records
from worker.process import die, end_within
from worker.records.types import TopicPartition

if TYPE_CHECKING:
    from worker.kafka.transport.app import BatchApp

# Not by __name__: Faust's own lines about the services below come under that name, and are muted.
logger = logging.getLogger("worker.kafka")

Answer = TypeVar("Answer")

_STOPPED_ERRORS: tuple[type[BaseException], ...] = (asyncio.CancelledError, *driver.Consumer.consumer_stopped_errors)
_STOP_S = 10.0


class BatchConsumer(driver.Consumer):
    """Faust's consumer, delivering MicroBatches."""

    app: BatchApp
    _thread: BatchConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limits = self.app.limits
        self._handler = self.app.handler
        self._seek_number = 0
        self._waiting: list[MicroBatch] = []
        self._held = HeldRecords()
        self.in_flight = InFlight(self._limits)
        self._positions: dict[TopicPartition, tuple[int, int]] = {}

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def positions(self) -> Mapping[TopicPartition, tuple[int, int]]:
        """Per partition where the consumer reads next, transaction markers passed over, and the log's end.

        As of a moment ago; every record before it was put into a MicroBatch.
        """
        return self._positions

    def fetch_wait_s(self) -> float:
        """How long brokers may collect records for the next micro-batch. Safe to call from any thread."""
        has_batch = self.in_flight.num_records >= self._limits.max_batch
        return 0.0 if has_batch else self.app.pacing.fetch_wait_s()

    def idle_positions(self) -> dict[TopicPartition, int]:
        """The positions of the partitions of which nothing is in flight, where nothing before them has to wait."""
        return {
            tp: position
            for tp, (position, _) in self._positions.items()
            if not self.in_flight.has(tp) and ((bound := self._handler.bound(tp)) is None or position <= bound)
        }

    def release(self) -> bool:
        """Deliver what had to wait and need not any more; answers whether all that is in flight has to wait still."""
        # While the flow is stopped, Faust empties the agents' queues.
        for tp in self._held if self.flow_active else ():
            self._queue(tp, self._held.release(tp, self._handler.bound(tp)))
        return 0 < self.in_flight.num_records == self._held.num_records

    async def _drain_messages(self, fetcher: Any) -> None:
        def stopped() -> bool:
            return bool(self._stopped.is_set() or fetcher._stopped.is_set())

        try:
            while not stopped():
                await self.in_flight.wait_for_room(stopped)
                fetched: Any = (await self._wait_next_records(timeout=1.0))[0]
                await asyncio.sleep(0)
                if not self.flow_active:
                    # A fetch may return between Faust's seek and its resume, which empties the agents' queues.
                    await self.wait(self.can_resume_flow)  # type: ignore[arg-type]  # typed as an event of mode's own
                # Nothing else may drop records: the fetcher has moved on, and they would not come again.
                if fetched and fetched.seek_number == self._seek_number:
                    self._receive(fetched)
        except _STOPPED_ERRORS:
            if not self.app.should_stop:
                raise
        except UnreadableBatchError as error:
            die(error)

    def _receive(self, fetched: Fetched) -> None:
        for tp, records in fetched.records.items():
            self._deliver(TopicPartition(*tp), records)
        self._positions.update(fetched.positions)
        if fetched.out_of_range:
            self._handler.on_out_of_range(fetched.out_of_range)

    def _deliver(self, tp: TopicPartition, records: list[Any]) -> None:
        self.in_flight.add(tp, records)
        self._held.hold(tp, records)
        self._queue(tp, self._held.release(tp, self._handler.bound(tp)))

    def _queue(self, tp: TopicPartition, records: list[Any]) -> None:
        while records:
            self._waiting = [batch for batch in self._waiting if not batch.closed]
            if not self._waiting or self._waiting[-1].full:
                self._waiting.append(MicroBatch(self._limits.max_batch))
                self._queue_for(tp).force_put_nowait(self._waiting[-1])
            records = self._waiting[-1].add(tp, records)

    def _queue_for(self, tp: TopicPartition) -> Any:
        topics: Any = self.app.topics
        (channel,) = topics._tp_index[tp]
        subscribers = list(channel._subscribers)
        return subscribers[0].queue if subscribers else channel.queue

    def done(self, records: Records) -> None:
        """The agent has finished with `records`, one way or another: there is room for as many."""
        self.in_flight.remove(records)

    def _drop_fetched(self) -> None:
        """Drop what is on its way here and was not taken: it will be fetched again, here or elsewhere."""
        self._seek_number += 1
        self._positions = {}
        for batch in self._waiting:
            if not batch.closed:
                self.done(batch.take())
        self._waiting = []
        self.done(self._held.take())

    async def reseek(self) -> None:
        """Go to the handler's positions; what was fetched before and not taken is dropped, and fetched again."""
        self._drop_fetched()
        await self._in_thread(self._thread.seek_all, self._seek_number, self._handler.positions())

    async def perform_seek(self) -> None:
        """Faust's call after an assignment, and whenever it finds its flow stopped: our positions, not the group's."""
        await self.reseek()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Heartbeats go on meanwhile; the group waits for us until its rebalance timeout."""
        self.stop_flow()
        self._drop_fetched()
        await self._handler.on_revoked()
        await self._handler.on_rejoining()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """No heartbeat is sent meanwhile. Faust resumes the flow, through `perform_seek`, after this.

        Faust would only log an error and leave the partitions without an owner: it ends the process instead.
        """
        tps = frozenset(TopicPartition(*tp) for tp in assigned)
        try:
            # A drain that is going on lets go of everything: nobody will miss these partitions here.
            if not self.app.should_stop:
                self._handler.on_assigned(Assignment(tps, self._membership(generation_id), self.reseek))
        except Exception as error:
            die(error)
        await super().on_partitions_assigned(assigned, generation_id)

    def _membership(self, generation: int) -> Membership:
        """Who we are in the group, as of this assignment: the client forgets it before it joins again."""
        # The fetch thread waits for this callback, so that its coordinator stands still.
        coordinator: Any = self._thread._ensure_consumer()._coordinator
        return Membership(generation, coordinator.member_id, self.app.conf.consumer_group_instance_id or None)

    async def wait_empty(self) -> None:
        """Drain at shutdown. At a revocation there is nothing left to wait for: `on_revoked` has done it."""
        if self.should_stop or self.app.should_stop:
            self._drop_fetched()
            await self._handler.on_revoked()
            # The group may be rebalancing at this moment, and Faust waits for that for up to a minute.
            end_within(_STOP_S)

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Nothing: offsets are committed with the results that they stand for."""
        return False

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing: /live and /ready tell whether records move."""

    async def ask_brokers(self) -> None:
        """See BatchConsumerThread.ask_brokers."""
        await self._in_thread(self._thread.ask_brokers)

    async def _in_thread(self, call: Callable[..., Awaitable[Answer]], *arguments: Any) -> Answer:
        answer: Answer = await self._thread.call_thread(call, *arguments)
        return answer
