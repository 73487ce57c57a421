"""The pace at which a process drains a backlog, from its events on the topic and its CPU time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.pipeline.probes.proc import UsageSamples

POLL_MS = 200

NUM_WARM_EVENTS = 1024  # of the start and the first micro-batch, not counted in the rate; at most half of the events


class _Event(msgspec.Struct):
    record_id: str
    label: str


@dataclass
class Events:
    """The committed events: their timestamps in ms, ascending, and the label of each record."""

    times_ms: list[int] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)


async def read_events(kafka: str, topic: str, num_partitions: int, timeout_s: float) -> Events:
    """Read every committed event of `topic`. Raises TimeoutError after `timeout_s`."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, isolation_level="read_committed", auto_offset_reset="earliest")
    consumer.assign([TopicPartition(topic, number) for number in range(num_partitions)])
    events = Events()
    decoder = msgspec.json.Decoder(_Event)
    async with consumer, asyncio.timeout(timeout_s):
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                events.times_ms += [record.timestamp for record in records]
                found = [decoder.decode(record.value) for record in records]
                events.labels.update((event.record_id, event.label) for event in found)
    events.times_ms.sort()
    return events


@dataclass(frozen=True)
class Pace:
    """Rate and CPU time per record, without the start and the first micro-batch, and with them."""

    records_per_s: float
    cpu_us: float
    records_per_s_from_start: float
    cpu_us_from_start: float


def pace(events: Events, launched_s: float, usage: UsageSamples) -> Pace:
    """The pace of `events` up to the last one, so that the shutdown does not count.

    launched_s: wall-clock time at which the process was launched.
    """
    times_ms = events.times_ms
    num_warm = min(NUM_WARM_EVENTS, len(times_ms) // 2)
    num_steady = len(times_ms) - num_warm
    begin_s, end_s = times_ms[num_warm - 1] / 1000, times_ms[-1] / 1000
    return Pace(
        records_per_s=num_steady / max(end_s - begin_s, 0.001),
        cpu_us=1e6 * (usage.cpu_s(end_s) - usage.cpu_s(begin_s)) / num_steady,
        records_per_s_from_start=len(times_ms) / (end_s - launched_s),
        cpu_us_from_start=1e6 * usage.cpu_s(end_s) / len(times_ms),
    )
