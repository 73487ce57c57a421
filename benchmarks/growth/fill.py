"""Fills Redis with the states of many streams, as the worker writes them, at the start of a topic's log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

from benchmarks.growth.entries import begin_lineages, write_entries
from benchmarks.growth.microbatches import MicroBatches
from benchmarks.growth.samples import sample_entries
from worker.network import load_engine
from worker.records.types import TopicPartition
from worker.settings import Settings
from worker.state.claims import TopicInfo


async def fill(settings: Settings, names: Mapping[TopicPartition, Sequence[str]]) -> None:
    """Write an entry of the settings' model for each stream."""
    worker = MicroBatches(settings, load_engine(settings))
    await worker.own()
    entries = await sample_entries(worker, names)
    # The samples' records are not in the log: the streams begin at its start, in another lineage.
    for tp, fence in (await begin_lineages(worker.store, worker.tps, TopicInfo("", settings.partitions))).items():
        of_all = zip(names[tp], cycle(entries[tp]), strict=False)
        await write_entries(worker.store, tp, fence, of_all, position=0)
    await worker.store.close()
