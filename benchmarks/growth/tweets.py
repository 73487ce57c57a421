"""Records of many streams: simulated tweets, whose texts repeat and whose accounts do not run out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import islice
from random import Random
from typing import Any

import msgspec
from kafka.partitioner.default import murmur2

from benchmarks.pipeline.records import tweets
from tests.factories.records import Record
from worker.records.codec import format_time
from worker.records.types import TopicPartition

NUM_TEXTS = 4096
NUM_ACCOUNTS = 500  # that wrote these texts
SEED = 1


def stream_names(tp: TopicPartition, numbers: Sequence[int]) -> list[str]:
    """Streams of a partition by their numbers; every name is as long as the others."""
    return [f"@account{tp.partition:02}{number:07}" for number in numbers]


def streams_by_partition(topic: str, num_streams: int, num_partitions: int) -> dict[TopicPartition, list[str]]:
    """Streams in the partitions to which clients send them, by the hash of their names."""
    found: dict[TopicPartition, list[str]] = {TopicPartition(topic, number): [] for number in range(num_partitions)}
    tps = list(found)
    for number in range(num_streams):
        name = f"@account{number:09}"
        found[tps[(murmur2(name.encode()) & 0x7FFFFFFF) % num_partitions]].append(name)
    return found


class TweetBatches:
    """Micro-batches in which every record is of another stream; the event time goes on from now."""

    def __init__(self, streams: Mapping[TopicPartition, Sequence[str]], num_records: int) -> None:
        """streams: those of each partition. num_records: of a micro-batch and a partition, at most its streams."""
        self._streams, self._num_records = streams, num_records
        self._random = Random(SEED)
        feed = islice(tweets("tweets", NUM_ACCOUNTS, time.time()), NUM_TEXTS)
        self._texts = [msgspec.json.decode(record.value)["text"] for record in feed]
        self._time_ms = int(1000 * time.time())

    def next(self, offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, list[Any]]:
        """Raw records by partition, from these offsets on."""
        self._time_ms += 1000
        return {tp: self._records(tp, offsets[tp]) for tp in self._streams}

    def _records(self, tp: TopicPartition, offset: int) -> list[Any]:
        names = self._random.sample(self._streams[tp], self._num_records)
        return [
            Record(
                offset + place,
                name.encode(),
                msgspec.json.encode(
                    {
                        "id": f"{offset + place}",
                        "stream": name,
                        "text": self._random.choice(self._texts),
                        "time": format_time(self._time_ms),
                    }
                ),
                tp.topic,
                tp.partition,
                self._time_ms,
            )
            for place, name in enumerate(names)
        ]
