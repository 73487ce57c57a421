"""How long partitions give no event while a model is changed, the more streams there are.

Redis holds an entry of either model for each stream. While records of these streams flow, a shadow of the next model
follows the worker; once it has come as far, a worker of that model starts, takes the old one's place in the group (a
static member) and goes on with the shadow's states. Then back again, in the same way. The pause of a partition is the
time from the last event of the one model to the first event of the other, as they arrive at a consumer.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import cycle, pairwise
from random import Random
from typing import Any, NamedTuple

import msgspec

from benchmarks.growth.bench import GrowthBench
from benchmarks.growth.fill import fill
from benchmarks.growth.tweets import streams_by_partition
from benchmarks.pipeline.measurements.takeover import TIMEOUT_S
from benchmarks.pipeline.pauses import COLUMNS, pause_row
from benchmarks.pipeline.programs import OURS, ProgramProcess
from benchmarks.pipeline.report import Report
from benchmarks.pipeline.traffic import Arrival, Traffic
from tests.workplace import Workplace
from worker.errors import EXIT_FAILED, EXIT_OK
from worker.kafka.topics import ensure_topics
from worker.tools.simulate import FeedRecord

SETTLED_LAG = 0.5  # of a shadow at most, in seconds of the rate
STEADY_S = 5.0  # between cut-overs
SEED = 1
INSTANCE = {"instance_id": "only"}
OLD, NEW = "old", "new"


class _Model(msgspec.Struct):
    fingerprint: str


class _Event(msgspec.Struct):
    model: _Model


_EVENT = msgspec.json.Decoder(_Event)


class _Change(NamedTuple):
    """A partition's last event of one model and its first of the next."""

    last: Arrival
    first: Arrival


class ModelTraffic(Traffic):
    """Traffic of these streams, which notes the model of each event.

    models: id of a record -> fingerprint of the model of its first event.
    """

    def __init__(self, workplace: Workplace, streams: Sequence[str], rate: float) -> None:
        super().__init__(workplace, len(streams), rate)
        self.models: dict[str, str] = {}
        self._records = _renamed(self._records, streams)

    def _arrival(self, event: Any, at_s: float) -> Arrival:
        arrival = super()._arrival(event, at_s)
        self.models.setdefault(arrival.record_id, _EVENT.decode(event.value).model.fingerprint)
        return arrival

    def changes(self) -> dict[int, list[_Change]]:
        """The changes of the model, by partition."""
        arrivals: dict[int, list[Arrival]] = defaultdict(list)
        for arrival in self.arrivals:
            arrivals[arrival.partition].append(arrival)
        return {
            partition: [
                _Change(last, first)
                for last, first in pairwise(of_partition)
                if self.models[last.record_id] != self.models[first.record_id]
            ]
            for partition, of_partition in arrivals.items()
        }


def _renamed(records: Iterator[FeedRecord], streams: Sequence[str]) -> Iterator[FeedRecord]:
    """The same records of these streams, drawn at random."""
    random = Random(SEED)
    for record in records:
        stream = random.choice(streams)
        value = msgspec.json.encode(msgspec.json.decode(record.value) | {"stream": stream})
        yield record._replace(key=stream.encode(), value=value)


def measure_cutover(bench: GrowthBench) -> Report:
    """A row for each number of streams, over all partitions and cut-overs."""
    amounts = bench.workers.amounts
    title = f"cut-over: {amounts.rate:g} records/s, {amounts.partitions} partitions, {bench.amounts.cutovers} changes"
    report = Report(title, COLUMNS, [])
    for num_streams in bench.amounts.cutover_streams:
        pauses_s = asyncio.run(_measure(bench, num_streams, report.problems))
        report.rows.append(pause_row(f"{num_streams:,} streams", pauses_s) | {"streams": num_streams})
    report.notes.append("a pause: from a partition's last event of one model to its first of the next, at a consumer")
    return report


async def _measure(bench: GrowthBench, num_streams: int, problems: list[str]) -> list[float]:
    """The pauses. Problems are appended to `problems`."""
    workplace = bench.workers.workplace(bench.workers.amounts.partitions)
    settings = workplace.settings
    shadow_topics = {"shadow_topic": f"{settings.group}.shadow", "comparisons_topic": f"{settings.group}.comparisons"}
    ensure_topics(settings.model_copy(update=shadow_topics).of_shadow(""))
    checkpoints = {OLD: bench.checkpoint, NEW: bench.new_checkpoint}
    names = streams_by_partition(workplace.topic, num_streams, settings.partitions)
    for checkpoint in checkpoints.values():
        await fill(settings.model_copy(update={"checkpoint": checkpoint}), names)
    with ExitStack() as ended:
        ended.callback(workplace.delete_topics)
        numbers = iter(range(1000))

        def process(model: str, flags: dict[str, Any]) -> ProgramProcess:
            place, suffix = replace(workplace, flags=workplace.flags | flags), f"-{model}-{next(numbers)}"
            made = ProgramProcess(OURS, place, checkpoints[model], bench.work_dir, suffix=suffix)
            ended.callback(made.kill)
            return made

        serving = process(OLD, INSTANCE)
        await asyncio.to_thread(serving.start)
        streams = [name for of_partition in names.values() for name in of_partition]
        is_over = False
        async with ModelTraffic(workplace, streams, bench.workers.amounts.rate) as traffic:
            sending = asyncio.create_task(traffic.send(lambda: is_over))
            for _, model in zip(range(bench.amounts.cutovers), cycle((NEW, OLD)), strict=False):
                shadow = process(model, shadow_topics | {"shadow": True})
                await asyncio.to_thread(shadow.start)
                await _wait_for_shadow(shadow, traffic)
                following = process(model, INSTANCE)
                await asyncio.to_thread(following.start)
                code = await asyncio.to_thread(serving.wait_for_end)
                assert code == EXIT_FAILED, serving.tail()
                serving = following
                await asyncio.to_thread(shadow.kill)
            await asyncio.sleep(STEADY_S)
            is_over = True
            await sending
            await traffic.wait_for(lambda: traffic.num_outstanding <= 0, TIMEOUT_S, "an event for each record")
        assert await asyncio.to_thread(serving.terminate) == EXIT_OK, serving.tail()
    return _pauses_s(traffic, bench.amounts.cutovers, problems)


async def _wait_for_shadow(shadow: ProgramProcess, traffic: Traffic) -> None:
    """Wait until the shadow follows closely, and records flow as before."""
    await asyncio.sleep(STEADY_S)
    await asyncio.to_thread(shadow.wait_for_metric, "events_total", 1)
    deadline = asyncio.get_running_loop().time() + TIMEOUT_S
    while await asyncio.to_thread(shadow.metric, "shadow_lag_records") > SETTLED_LAG * traffic.rate:
        assert asyncio.get_running_loop().time() < deadline, f"the shadow stays behind\n{shadow.tail()}"
        await asyncio.sleep(SETTLED_LAG)
    await traffic.wait_for(lambda: traffic.num_outstanding < SETTLED_LAG * traffic.rate, TIMEOUT_S, "a settled worker")


def _pauses_s(traffic: ModelTraffic, num_changes: int, problems: list[str]) -> list[float]:
    if problem := traffic.problem():
        problems.append(problem)
    changes = traffic.changes()
    for partition, of_partition in changes.items():
        if len(of_partition) != num_changes:
            problems.append(f"partition {partition} changed {len(of_partition)} times, not {num_changes}")
    return [first.at_s - last.at_s for of_partition in changes.values() for last, first in of_partition]
