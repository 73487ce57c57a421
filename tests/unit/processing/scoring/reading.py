"""Records of one partition read through decoding, scoring and concluding, and what comes of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from model import InferenceEngine
from tests.factories.partitions import new_partition
from tests.factories.records import START_MS, Record
from worker.errors import RecordError
from worker.ownership.partition import Partition
from worker.processing.scoring import Scorer
from worker.processing.slices import Slice
from worker.records.types import OutputRecord
from worker.settings import Settings, load_settings
from worker.state.entry import StreamEntry

TEXTS = ("great flight", "the film was not good", "terrible, terrible service!", "today", "so happy :)")


def read(
    engine: InferenceEngine,
    records: Sequence[Record],
    partition: Partition | None = None,
    settings: Settings | None = None,
    scorer: Scorer | None = None,
) -> Slice:
    """Steps 2 and 4 for `records`, applied to `partition`."""
    scorer = scorer or Scorer(settings or load_settings(), engine)
    partition = partition or new_partition()
    work = Slice(partition, scorer.decode(partition.take(records)))
    planned = scorer.plan(work)
    for (item, _), answer in zip(planned, scorer.score([request for _, request in planned]), strict=True):
        if isinstance(answer, RecordError):
            item.error = answer
        else:
            item.result = answer
    scorer.conclude(work, now_ms=START_MS)
    work.partition.apply(work.changed, work.next_offset)
    return work


def events(work: Slice) -> list[dict[str, Any]]:
    return [json.loads(o.value) for o in work.outputs if o.topic == "sentiment.events" and o.value]


def reasons(outputs: Sequence[OutputRecord]) -> list[str]:
    return [
        (dict(o.headers)["sentiment-reason"] or b"").decode() for o in outputs if o.topic == "sentiment.deadletters"
    ]


def same(left: StreamEntry | None, right: StreamEntry | None) -> bool:
    """Equal within float32 sums that depend on what else is in the batch."""
    if left is None or right is None:
        return left is right
    close = left.state.carried == pytest.approx(right.state.carried, abs=1e-5)
    return bool(close) and (left.num_records, left.time_ms) == (right.num_records, right.time_ms)
