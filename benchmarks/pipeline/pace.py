"""The pace of a process, from its events on the topic and the kernel's account of its CPU time."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition

READ_TIMEOUT_S = 120.0
POLL_MS = 200
TICKS_PER_S = os.sysconf("SC_CLK_TCK")

NUM_WARM_EVENTS = 1024  # of the start and the first micro-batch, not counted in the rate; at most half of the events


class _Event(msgspec.Struct):
    record_id: str
    label: str


@dataclass
class Events:
    """The committed events: their timestamps in ms, ascending, and the label of each record."""

    times_ms: list[int] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)


async def read_events(kafka: str, topic: str, num_partitions: int) -> Events:
    """Read every committed event of `topic`. Raises TimeoutError after READ_TIMEOUT_S."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, isolation_level="read_committed", auto_offset_reset="earliest")
    consumer.assign([TopicPartition(topic, number) for number in range(num_partitions)])
    events = Events()
    decoder = msgspec.json.Decoder(_Event)
    async with consumer, asyncio.timeout(READ_TIMEOUT_S):
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                events.times_ms += [record.timestamp for record in records]
                found = [decoder.decode(record.value) for record in records]
                events.labels.update((event.record_id, event.label) for event in found)
    events.times_ms.sort()
    return events


class CpuAccount:
    """CPU time of a process and its threads, sampled while it runs."""

    def __init__(self, pid: int) -> None:
        self._file = Path(f"/proc/{pid}/stat")
        self._times_s: list[float] = []
        self._used_s: list[float] = []

    def sample(self) -> None:
        """Take a sample; nothing if the process has ended."""
        try:
            # after the program's name, which may contain anything, utime and stime are the 12th and 13th fields
            fields = self._file.read_text().rpartition(")")[2].split()
        except OSError:
            return
        self._times_s.append(time.time())
        self._used_s.append((int(fields[11]) + int(fields[12])) / TICKS_PER_S)

    def used_s(self, at_s: float) -> float:
        """CPU seconds used until the wall-clock time `at_s`, interpolated between samples."""
        return float(np.interp(at_s, self._times_s, self._used_s))


@dataclass(frozen=True)
class Pace:
    """Rate and CPU time per record, without the start and the first micro-batch, and with them."""

    records_per_s: float
    cpu_us: float
    records_per_s_from_start: float
    cpu_us_from_start: float


def pace(events: Events, launched_s: float, cpu: CpuAccount) -> Pace:
    """The pace of `events` up to the last one, so that the shutdown does not count.

    launched_s: wall-clock time at which the process was launched.
    """
    times_ms = events.times_ms
    num_warm = min(NUM_WARM_EVENTS, len(times_ms) // 2)
    num_steady = len(times_ms) - num_warm
    begin_s, end_s = times_ms[num_warm - 1] / 1000, times_ms[-1] / 1000
    return Pace(
        records_per_s=num_steady / max(end_s - begin_s, 0.001),
        cpu_us=1e6 * (cpu.used_s(end_s) - cpu.used_s(begin_s)) / num_steady,
        records_per_s_from_start=len(times_ms) / (end_s - launched_s),
        cpu_us_from_start=1e6 * cpu.used_s(end_s) / len(times_ms),
    )
