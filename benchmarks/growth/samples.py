"""Entries as the worker makes them, to write in the name of many streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.growth.microbatches import MicroBatches
from benchmarks.growth.tweets import TweetBatches
from worker.records.types import TopicPartition
from worker.state.entry import StreamEntry

NUM_STREAMS = 64  # of a partition
NUM_RECORDS = 32  # of a stream


async def sample_entries(
    worker: MicroBatches, streams: Mapping[TopicPartition, Sequence[str]]
) -> dict[TopicPartition, list[StreamEntry]]:
    """The entries of the first NUM_STREAMS streams of each partition, after NUM_RECORDS tweets each."""
    some = {tp: names[:NUM_STREAMS] for tp, names in streams.items()}
    tweets = TweetBatches(some, NUM_STREAMS)
    for _ in range(NUM_RECORDS):
        await worker.process(tweets.next(worker.offsets))
    found = {tp: [worker.partitions[tp].entry(name) for name in names] for tp, names in some.items()}
    return {tp: [entry for entry in entries if entry is not None] for tp, entries in found.items()}
