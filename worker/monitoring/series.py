"""The series of all metrics of the worker: their names, labels and buckets.

A label is a topic, a partition or a word from a fixed list, never a stream, so the number of series is bounded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final, Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector

from model import LABELS, NotUnderstood
from worker.errors import Reason
from worker.monitoring.histogram import BatchHistogram
from worker.records.types import Fallback, ResetReason

Outcome = Literal["scored", "dead_letter", "erased", "skipped"]
FencedBy = Literal["kafka", "redis"]
LogChange = Literal["topic_recreated", "log_truncated", "records_gone", "states_of_another_log"]
SpansDropped = Literal["export_failed", "queue_full"]
Stage = Literal["decode", "load", "score", "commit"]

_STEP_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_END_TO_END_S: Final = (*_STEP_S[3:], 30.0, 60.0, 300.0, 3600.0)
_BATCH_RECORDS: Final = (1, 4, 16, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
_SCORES: Final = tuple(number / 5 for number in range(-4, 6))
_CONFIDENCES: Final = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
_RATIOS: Final = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)


class Series:
    """Registers the series. Those with a known label exist from the start, at zero: a rate counts the first event."""

    def __init__(self, topics: Iterable[str], registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._init_records(topics)
        self._init_batches()
        self._init_states()
        self._init_progress()

    def _counter(self, name: str, documentation: str, label: str | None = None, known: Iterable[str] = ()) -> Counter:
        counter = Counter(f"sentiment_{name}", documentation, (label,) if label else (), registry=self.registry)
        for value in known:
            counter.labels(value)
        return counter

    def _gauge(self, name: str, documentation: str, labels: Sequence[str] = ()) -> Gauge:
        return Gauge(f"sentiment_{name}", documentation, labels, registry=self.registry)

    def _batch_histogram(self, name: str, documentation: str, buckets: Sequence[float]) -> BatchHistogram:
        return BatchHistogram(f"sentiment_{name}", documentation, buckets, self.registry)

    def _init_records(self, topics: Iterable[str]) -> None:
        self._records = Counter(
            "sentiment_records", "Input records processed, by outcome.", ("topic", "outcome"), registry=self.registry
        )
        for topic in topics:
            for outcome in get_args(Outcome):
                self._records.labels(topic, outcome)
        self._events = self._counter("events", "Sentiment events committed.", "label", LABELS)
        self._dead_letters = self._counter("dead_letters", "Records that could not be scored.", "reason", Reason)
        self._fallbacks = self._counter(
            "fallbacks", "Fields of scored records that could not be used, by what stands in.", "fallback", Fallback
        )
        self._not_understood = self._counter(
            "not_understood",
            "Events whose text the network does not understand, by reason.",
            "reason",
            get_args(NotUnderstood),
        )
        self._languages = self._counter("languages", "Sentiment events committed, by the text's language.", "language")
        self._shifts = self._counter("shifts", "Mood shifts committed.")
        self._end_to_end = self._batch_histogram(
            "end_to_end_seconds", "Time from a record's timestamp in Kafka to its committed event.", _END_TO_END_S
        )
        self._scores = self._batch_histogram("score", "Scores of the committed events.", _SCORES)
        self._confidences = self._batch_histogram(
            "confidence", "Calibrated probabilities of the committed events' labels.", _CONFIDENCES
        )
        self._unknown = self._batch_histogram(
            "unknown_token_ratio", "Share of a text's tokens that are not in the vocabulary.", _RATIOS
        )

    def _init_batches(self) -> None:
        self._batch_records = Histogram(
            "sentiment_batch_records", "Records in a micro-batch.", buckets=_BATCH_RECORDS, registry=self.registry
        )
        self._batch_wait = Histogram(
            "sentiment_batch_wait_seconds",
            "Time from a micro-batch's first record to its start.",
            buckets=_STEP_S,
            registry=self.registry,
        )
        stages = Histogram(
            "sentiment_stage_seconds",
            "Time of a micro-batch in each stage.",
            ("stage",),
            buckets=_STEP_S,
            registry=self.registry,
        )
        self._stages = {stage: stages.labels(stage) for stage in get_args(Stage)}
        self._inflight_records = self._gauge("inflight_records", "Records fetched but not yet committed.")
        self._inflight_bytes = self._gauge("inflight_bytes", "Bytes of the records fetched but not yet committed.")

    def _init_states(self) -> None:
        self._cache = self._counter(
            "state_cache", "Lookups of states in the worker's memory, by result.", "result", ("hit", "miss")
        )
        self._cached_streams = self._gauge("cached_streams", "States in the worker's memory.")
        self._flush = Histogram(
            "sentiment_flush_seconds", "Time of one write of states to Redis.", buckets=_STEP_S, registry=self.registry
        )
        self._flush_lag = self._gauge("flush_lag_records", "Committed records whose states are not yet in Redis.")
        self._flush_lost = self._counter("flush_lost", "Times that Redis did not hold what was last written there.")
        self._fenced = self._counter(
            "fenced", "Partitions dropped because another worker owns them.", "by", get_args(FencedBy)
        )
        self._rebuilt = self._counter("rebuilt_records", "Records applied to states without being published.")
        self._resets = self._counter("state_resets", "Streams restarted from an empty state.", "reason", ResetReason)
        self._log_changes = self._counter(
            "log_changes",
            "Take-overs of a partition whose log is not the one that was known.",
            "change",
            get_args(LogChange),
        )
        self._position_kept = self._counter(
            "position_kept",
            "Partitions whose offset in Kafka was gone or behind, continued where their events or their states end.",
        )

    def _init_progress(self) -> None:
        self._lag_records = self._gauge("lag_records", "Records not yet committed.", ("topic", "partition"))
        self._lag_seconds = self._gauge("lag_seconds", "Age of the oldest record not yet committed.")
        self._behind_leader = self._gauge(
            "shadow_lag_records",
            "Of a shadow: records that the group which it follows has committed, and it has not.",
            ("topic", "partition"),
        )
        self._agreement = self._gauge(
            "shadow_agreement_ratio", "Of a shadow: share of the latest records to which both models give one label."
        )
        self._agreement.set(math.nan)
        self._owned = self._gauge("owned_partitions", "Partitions that this worker owns.")
        self._rebalances = self._counter("rebalances", "Assignments of partitions that the group gave this worker.")
        self._last_progress = self._gauge("last_progress_timestamp_seconds", "When the worker last made progress.")
        self._ready = self._gauge("ready", "1 while /ready reports ready, else 0.")
        self._spans_dropped = self._counter(
            "spans_dropped", "Spans that were not exported, by reason.", "reason", get_args(SpansDropped)
        )
        self._model = Info("sentiment_model", "The checkpoint in use.", registry=self.registry)
