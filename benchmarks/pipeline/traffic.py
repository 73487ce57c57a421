"""Records sent at a fixed rate, and the arrival of their events at a `read_committed` consumer."""

from __future__ import annotations

import asyncio
import gc
import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, NamedTuple, Self

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.pipeline.records import tweets
from tests.workplace import Workplace

POLL_MS = 500
CHECK_S = 0.02


class _Source(msgspec.Struct):
    partition: int


class _Event(msgspec.Struct):
    record_id: str
    source: _Source


class _Record(msgspec.Struct):
    id: str


_EVENT, _RECORD = msgspec.json.Decoder(_Event), msgspec.json.Decoder(_Record)


class Arrival(NamedTuple):
    """The event of a record: the record's partition, and the wall-clock time at which the consumer had the event."""

    record_id: str
    partition: int
    at_s: float


class Traffic:
    """Sends tweets to a workplace and reads the events, both in the caller's event loop.

    sent_s: id of a record -> wall-clock time at which it was sent, which is the record's timestamp too.
    arrivals: the events, in the order in which they arrived.
    """

    def __init__(self, workplace: Workplace, num_streams: int, rate: float) -> None:
        self.sent_s: dict[str, float] = {}
        self.arrivals: list[Arrival] = []
        self.rate = rate
        self._records = tweets(workplace.topic, num_streams, time.time(), rate)
        self._workplace = workplace
        self._producer: Any = None
        self._consumer: Any = None
        self._exit = AsyncExitStack()
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        kafka, topic = self._workplace.settings.kafka, self._topic_to_read(self._workplace)
        self._producer = AIOKafkaProducer(bootstrap_servers=kafka, enable_idempotence=True, linger_ms=0)
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=kafka, isolation_level="read_committed", auto_offset_reset="earliest", check_crcs=False
        )
        partitions = range(self._workplace.settings.partitions)
        self._consumer.assign([TopicPartition(topic, number) for number in partitions])
        async with AsyncExitStack() as started:
            await started.enter_async_context(self._producer)
            await started.enter_async_context(self._consumer)
            self._exit = started.pop_all()
        self._reading = asyncio.create_task(self._read())
        gc.collect()
        gc.disable()  # a collection would delay what is sent and what arrives
        return self

    async def __aexit__(self, *error: object) -> None:
        gc.enable()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self._exit.aclose()

    async def send(self, is_done: Callable[[], bool]) -> None:
        """Send records at the rate until `is_done`, and wait until all are acknowledged."""
        in_flight: deque[asyncio.Future[Any]] = deque()
        started = time.monotonic()
        for number, record in enumerate(self._records):
            await asyncio.sleep(max(0.0, started + number / self.rate - time.monotonic()))
            if is_done():
                break
            record_id = _RECORD.decode(record.value).id
            now_s = time.time()
            self.sent_s[record_id] = now_s
            sending = self._producer.send(record.topic, record.value, record.key, timestamp_ms=int(1000 * now_s))
            in_flight.append(await sending)
            while in_flight and in_flight[0].done():
                in_flight.popleft().result()
        await asyncio.gather(*in_flight)

    async def _read(self) -> None:
        while True:
            found = await self._consumer.getmany(timeout_ms=POLL_MS)
            now_s = time.time()
            for records in found.values():
                self.arrivals += [self._arrival(record, now_s) for record in records]

    def _topic_to_read(self, workplace: Workplace) -> str:
        return workplace.settings.events_topic

    def _arrival(self, event: Any, at_s: float) -> Arrival:
        value = _EVENT.decode(event.value)
        return Arrival(value.record_id, value.source.partition, at_s)

    @property
    def num_outstanding(self) -> int:
        """Number of records sent whose events have not arrived, as long as no record has two events."""
        return len(self.sent_s) - len(self.arrivals)

    async def wait_for(self, is_met: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Wait until `is_met`. Raises TimeoutError, which says `what` did not happen."""
        deadline = time.monotonic() + timeout_s
        while not is_met():
            if self._reading is not None and self._reading.done():
                self._reading.result()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not within {timeout_s:g} s")
            await asyncio.sleep(CHECK_S)

    def since(self, from_s: float) -> list[Arrival]:
        """The events that arrived at a wall-clock time or later."""
        return self.arrivals[bisect_left(self.arrivals, from_s, key=lambda arrival: arrival.at_s) :]

    def latencies_ms(self, from_s: float, to_s: float) -> list[float]:
        """Times from record to arrival, of the events whose records were sent between two wall-clock times."""
        return [
            1000 * (arrival.at_s - sent_s)
            for arrival in self.arrivals
            if from_s <= (sent_s := self.sent_s[arrival.record_id]) < to_s
        ]

    def problem(self) -> str | None:
        """What keeps each record from having exactly one event, or None."""
        events = Counter(arrival.record_id for arrival in self.arrivals)
        num_missing = len(self.sent_s.keys() - events.keys())
        num_repeated = events.total() - len(events)
        num_foreign = len(events.keys() - self.sent_s.keys())
        if not (num_missing or num_repeated or num_foreign):
            return None
        return (
            f"of {len(self.sent_s)} records {num_missing} have no event; {num_repeated + num_foreign} events too many"
        )


class TrafficAlone(Traffic):
    """Traffic without a worker: each record is read as if it were its own event."""

    def _topic_to_read(self, workplace: Workplace) -> str:
        return workplace.topic

    def _arrival(self, event: Any, at_s: float) -> Arrival:
        return Arrival(_RECORD.decode(event.value).id, event.partition, at_s)
