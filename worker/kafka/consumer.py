"""Whole per-partition batches inside an ordinary `@app.agent`: the only file that touches Faust's private parts.

Stock Faust spends some 130 us of CPU on every record between consumer and agent, and its acknowledgements can commit
a record that no agent finished. Here the consumer puts a MicroBatch of raw records on the agent's queue instead, which
grows while it waits there, and Faust commits nothing: the offsets go into the transactions of worker/kafka/producer.py.

    fetch thread  aiokafka fetches; what it returns is stamped with the number of the last seek
    event loop    what was fetched before the last seek is dropped; the rest joins the waiting MicroBatch
    agent         takes the MicroBatch, and says when its records are done: only then there is room for more
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import faust
from aiokafka import TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from worker.kafka.microbatch import BatchLimits, MicroBatch, size_bytes
from worker.process import end_within

# Faust's names that are used here and are not its published interface; a test holds them against the pinned version.
PRIVATE_NAMES = (
    (faust.App, "_new_transport"),
    (faust.App, "_on_rebalance_when_stopped"),
    (driver.Consumer, "_new_consumer_thread"),
    (driver.Consumer, "_drain_messages"),
    (driver.Consumer, "_wait_next_records"),
    (driver.Consumer, "force_commit"),
    (driver.Consumer, "perform_seek"),
    (driver.Consumer, "wait_empty"),
    (driver.Consumer, "verify_event_path"),
    (driver.Consumer, "on_partitions_revoked"),
    (driver.Consumer, "on_partitions_assigned"),
    (driver.Consumer, "stop_flow"),
    (driver.AIOKafkaConsumerThread, "_create_worker_consumer"),
    (driver.AIOKafkaConsumerThread, "_fetch_records"),
    (driver.AIOKafkaConsumerThread, "_ensure_consumer"),
    (driver.AIOKafkaConsumerThread, "call_thread"),
)

_FULL_POLL_S = 0.5
_STOP_S = 10.0


class PartitionHandler(Protocol):
    """Who owns the partitions' data: told in the order in which the group coordinator speaks."""

    async def on_revoked(self) -> None:
        """Finish or give up what is in flight, within a bound, and let go of every partition (eager protocol)."""

    async def on_assigned(self, tps: set[TP]) -> None:
        """Take the partitions over; no heartbeat is sent until this returns."""

    def positions(self) -> Mapping[TP, int]:
        """For every owned partition, the next offset to fetch."""


class BatchConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """The thread that owns the aiokafka consumer."""

    seek_number = -1

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # producers upstream may use transactions too; Faust would read what they aborted
        consumer._isolation_level = "read_committed"
        return consumer

    async def _fetch_records(self, *args: Any, **kwargs: Any) -> Any:
        records = await super()._fetch_records(*args, **kwargs)
        # stamped on return: a fetch that waited while the seek came brings what stands behind it
        return self.seek_number, records

    async def seek_all(self, seek_number: int, positions: Mapping[TP, int]) -> None:
        """Seek to `positions` where they are assigned; what is fetched from here on carries `seek_number`."""
        consumer = self._ensure_consumer()
        self.seek_number = seek_number
        assigned = consumer.assignment()
        for tp, offset in positions.items():
            if TopicPartition(*tp) in assigned:
                consumer.seek(TopicPartition(*tp), offset)

    async def places(self) -> dict[TP, tuple[int, int]]:
        """Per assigned partition: where the consumer reads next (transaction markers passed over), and the log's end.

        Partitions that were not fetched from yet are left out.
        """
        consumer = self._ensure_consumer()
        ends = {tp: consumer.highwater(tp) for tp in consumer.assignment()}
        fetched = {tp: end for tp, end in ends.items() if end is not None}
        return {TP(tp.topic, tp.partition): (await consumer.position(tp), end) for tp, end in fetched.items()}

    async def ask_brokers(self) -> None:
        """One request to the cluster. Raises KafkaError when no broker answers it."""
        await self._ensure_consumer().topics()

    async def commit_offset(self, tp: TP, offset: int) -> None:
        """Commit with the group's generation, so that a member that was expelled is refused. Raises KafkaError."""
        await self._ensure_consumer().commit({TopicPartition(*tp): offset})


class BatchConsumer(driver.Consumer):  # type: ignore[misc]
    """Faust's consumer, delivering MicroBatches."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limits = self.app.batch_limits
        self._seek_number = 0
        self._waiting: list[MicroBatch] = []
        self._in_flight_records = 0
        self._in_flight_bytes = 0
        self._room = asyncio.Event()

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def in_flight(self) -> tuple[int, int]:
        """Records fetched and not done, and their bytes."""
        return self._in_flight_records, self._in_flight_bytes

    async def _drain_messages(self, fetcher: Any) -> None:
        def stopped() -> bool:
            return bool(self._stopped.is_set() or fetcher._stopped.is_set())

        try:
            while not stopped():
                await self._wait_for_room(stopped)
                fetched, _ = await self._wait_next_records(timeout=1.0)
                await asyncio.sleep(0)
                if not self.flow_active:
                    # a fetch may come back between Faust's seek and its resume, which empties the agents' queues
                    await self.wait(self.can_resume_flow)
                if not fetched:
                    continue
                seek_number, records = fetched
                # nothing else may drop records: the fetcher has moved on, they would not come again
                if seek_number == self._seek_number:
                    for tp, of_partition in records.items():
                        self._deliver(TP(tp.topic, tp.partition), of_partition)
        except (asyncio.CancelledError, *self.consumer_stopped_errors):
            if not self.app.should_stop:
                raise

    async def _wait_for_room(self, stopped: Any) -> None:
        limits = self._limits
        while (
            self._in_flight_records >= limits.max_inflight_records or self._in_flight_bytes >= limits.max_inflight_bytes
        ) and not stopped():
            self._room.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._room.wait(), _FULL_POLL_S)

    def _deliver(self, tp: TP, records: list[Any]) -> None:
        self._in_flight_records += len(records)
        self._in_flight_bytes += size_bytes(records)
        while records:
            self._waiting = [batch for batch in self._waiting if not batch.closed]
            if not self._waiting or self._waiting[-1].full:
                self._waiting.append(MicroBatch(self._limits.max_batch))
                self._queue_for(tp).force_put_nowait(self._waiting[-1])
            records = self._waiting[-1].add(tp, records)

    def _queue_for(self, tp: TP) -> Any:
        (channel,) = self.app.topics._tp_index[tp]
        subscribers = list(channel._subscribers)
        return subscribers[0].queue if subscribers else channel.queue

    def done(self, records: Mapping[TP, list[Any]]) -> None:
        """The agent has finished with these, one way or another: there is room for as many."""
        self._in_flight_records -= sum(map(len, records.values()))
        self._in_flight_bytes -= sum(map(size_bytes, records.values()))
        self._room.set()

    def _drop_fetched(self) -> None:
        """Drop what is on its way here and was not taken: it will be fetched again, here or elsewhere."""
        self._seek_number += 1
        for batch in self._waiting:
            if not batch.closed:
                self.done(batch.take())
        self._waiting = []

    async def reseek(self) -> None:
        """Go to the handler's positions; what was fetched before and not taken is dropped, and fetched again."""
        self._drop_fetched()
        await self._thread.call_thread(self._thread.seek_all, self._seek_number, self.app.handler.positions())

    async def perform_seek(self) -> None:
        """Faust's call after an assignment, and whenever it finds its flow stopped: our positions, not the group's."""
        await self.reseek()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Heartbeats go on meanwhile; the group waits for us until its rebalance timeout."""
        self.stop_flow()
        self._drop_fetched()
        await self.app.handler.on_revoked()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """No heartbeat is sent meanwhile. Faust resumes the flow, through `perform_seek`, after this."""
        if not self.app.should_stop:
            await self.app.handler.on_assigned({TP(tp.topic, tp.partition) for tp in assigned})
        await super().on_partitions_assigned(assigned, generation_id)

    async def wait_empty(self) -> None:
        """Drain at shutdown. At a revocation there is nothing left to wait for: `on_revoked` has done it."""
        if self.should_stop or self.app.should_stop:
            self._drop_fetched()
            await self.app.handler.on_revoked()
            # the group may just then be rebalancing, and Faust waits for that for up to a minute
            end_within(_STOP_S)

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Nothing: offsets are committed with the results that they stand for."""
        return False

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing: /live and /ready tell whether records move."""

    async def places(self) -> dict[TP, tuple[int, int]]:
        """See BatchConsumerThread.places."""
        found: dict[TP, tuple[int, int]] = await self._thread.call_thread(self._thread.places)
        return found

    async def ask_brokers(self) -> None:
        """See BatchConsumerThread.ask_brokers."""
        await self._thread.call_thread(self._thread.ask_brokers)

    async def commit_offset(self, tp: TP, offset: int) -> None:
        """See BatchConsumerThread.commit_offset."""
        await self._thread.call_thread(self._thread.commit_offset, tp, offset)


class BatchTransport(driver.Transport):  # type: ignore[misc]
    """Faust's aiokafka transport with our consumer."""

    Consumer = BatchConsumer


class BatchApp(faust.App):  # type: ignore[misc]
    """A Faust app whose agents receive MicroBatches; the first three are set before it starts.

    preflight: awaited before anything else starts; its error ends the process.
    """

    handler: PartitionHandler
    batch_limits: BatchLimits
    preflight: Callable[[], Awaitable[None]]

    def _new_transport(self) -> BatchTransport:
        return BatchTransport(self.conf.broker_consumer, self, loop=self.loop)

    def _on_rebalance_when_stopped(self) -> None:
        # Faust would close the consumer under the drain that is going on
        self.log.info("a rebalance while stopping is left to the others")

    async def on_first_start(self) -> None:
        """Look at the servers first."""
        await self.preflight()
        await super().on_first_start()

    def done(self, records: Mapping[TP, list[Any]]) -> None:
        """See BatchConsumer.done."""
        self.consumer.done(records)

    async def reseek(self) -> None:
        """See BatchConsumer.reseek."""
        await self.consumer.reseek()

    async def commit_offset(self, tp: TP, offset: int) -> None:
        """See BatchConsumerThread.commit_offset."""
        await self.consumer.commit_offset(tp, offset)
