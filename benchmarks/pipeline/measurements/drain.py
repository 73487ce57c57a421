"""A program reads a whole backlog and ends: its events, pace and memory."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from benchmarks.pipeline.bench import Bench
from benchmarks.pipeline.pace import Events, Pace, pace, read_events
from benchmarks.pipeline.probes.metrics import read_metrics, stage_times_ms
from benchmarks.pipeline.probes.proc import UsageSamples
from benchmarks.pipeline.programs import Program, ProgramProcess
from benchmarks.pipeline.records import Backlog
from tests import kafka_tools
from tests.workplace import new_workplace

SAMPLE_S = 0.1
SCRAPE_S = 0.5
MIN_TIMEOUT_S, MIN_RECORDS_PER_S = 180.0, 200.0


@dataclass
class Drained:
    """The result of one program; `skipped` is the reason why there is none.

    rss_bytes: resident memory, a mean for each quarter of the time from the first event to the last.
    """

    program: Program
    num_records: int = 0
    events: Events = field(default_factory=Events)
    pace: Pace | None = None
    rss_bytes: list[float] = field(default_factory=list)
    stages_ms: dict[str, tuple[float, float]] = field(default_factory=dict)
    skipped: str | None = None

    @property
    def is_complete(self) -> bool:
        """Whether each record has exactly one event."""
        return len(self.events.times_ms) == len(self.events.labels) == self.num_records

    def problems(self) -> list[str]:
        """What keeps each record from having exactly one event."""
        if self.skipped or self.is_complete:
            return []
        found = f"{len(self.events.times_ms)} events of {len(self.events.labels)} records"
        return [f"{self.program.name}: {found}, not one for each of {self.num_records}"]


def drain(bench: Bench, program: Program, backlog: Backlog) -> Drained:
    """Let `program` read the whole backlog, with a group and output topics of its own.

    Raises AssertionError, with the end of its output, if it fails or takes too long.
    """
    if reason := program.missing():
        return Drained(program, skipped=reason)
    workplace = new_workplace(bench.stack, topics=(backlog.topic,), **program.settings)
    settings = workplace.settings
    outputs = [topic for topic in workplace.all_topics if topic != backlog.topic]
    kafka_tools.create_topics(bench.stack.kafka, dict.fromkeys(outputs, settings.partitions))
    arguments = program.arguments(backlog.num_records)
    process = ProgramProcess(program, workplace, bench.checkpoint, bench.work_dir, arguments)
    timeout_s = MIN_TIMEOUT_S + backlog.num_records / MIN_RECORDS_PER_S
    launched_s = time.time()
    process.launch()
    usage = UsageSamples(process.pid)
    try:
        metrics = _watch(process, usage, timeout_s, program.is_ours)
    finally:
        process.kill()
    assert process.exit_code == 0, f"{program.name} ended with {process.exit_code}\n{process.tail()}"
    events = asyncio.run(read_events(bench.stack.kafka, settings.events_topic, settings.partitions, timeout_s))
    kafka_tools.delete_topics(bench.stack.kafka, outputs)
    return Drained(
        program,
        num_records=backlog.num_records,
        events=events,
        pace=pace(events, launched_s, usage),
        rss_bytes=_rss_by_quarter(events, usage),
        stages_ms=stage_times_ms(metrics) if metrics else {},
    )


def _watch(process: ProgramProcess, usage: UsageSamples, timeout_s: float, has_metrics: bool) -> str | None:
    """Sample the process until it ends; returns the last text of its /metrics, if any."""
    deadline = time.monotonic() + timeout_s
    scrape_at, metrics = 0.0, None
    while process.running:
        assert time.monotonic() < deadline, f"{process.name} still runs after {timeout_s:g} s\n{process.tail()}"
        usage.sample()
        if has_metrics and time.monotonic() >= scrape_at:
            metrics = read_metrics(process.address) or metrics
            scrape_at = time.monotonic() + SCRAPE_S
        time.sleep(SAMPLE_S)
    return metrics


def _rss_by_quarter(events: Events, usage: UsageSamples) -> list[float]:
    bounds_s = np.linspace(events.times_ms[0] / 1000, events.times_ms[-1] / 1000, 5).tolist()
    return [usage.mean_rss_bytes(*bounds) for bounds in pairwise(bounds_s)]
