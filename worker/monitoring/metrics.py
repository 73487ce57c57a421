"""What the worker counts and times. Records are counted in batches, because 50,000 records/s leave 20 us for each."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from model import Language, NotUnderstood
from worker.errors import Reason
from worker.monitoring.histogram import Exemplar
from worker.monitoring.series import FencedBy, LogChange, Series, SpansDropped, Stage
from worker.records.types import Fallback, ResetReason


class Scored(Protocol):
    """The fields of a result of the network that the metrics read."""

    @property
    def label(self) -> str: ...  # noqa: D102
    @property
    def score(self) -> float: ...  # noqa: D102
    @property
    def confidence(self) -> float: ...  # noqa: D102
    @property
    def num_tokens(self) -> int: ...  # noqa: D102
    @property
    def num_unknown(self) -> int: ...  # noqa: D102
    @property
    def language(self) -> Language: ...  # noqa: D102
    @property
    def not_understood(self) -> NotUnderstood | None: ...  # noqa: D102


class Metrics(Series):
    """The metrics, with one method for each kind of event. Safe to call from any thread."""

    def batch(self, num_records: int, waited_s: float) -> None:
        """A micro-batch of `num_records` starts, `waited_s` after its first record arrived."""
        self._batch_records.observe(num_records)
        self._batch_wait.observe(waited_s)

    def stage(self, stage: Stage) -> AbstractContextManager[object]:
        """Times one stage of a micro-batch: `with metrics.stage("score"):`."""
        return self._stages[stage].time()

    def committed(
        self,
        topic: str,
        results: Sequence[Scored],
        latencies_s: Sequence[float],
        exemplars: Sequence[Exemplar] = (),
    ) -> None:
        """The events of `results` are committed.

        latencies_s: measured from the records' timestamps. exemplars: traces of some of them.
        """
        self._records.labels(topic, "scored").inc(len(results))
        for label, count in Tally([result.label for result in results]).items():
            self._events.labels(label).inc(count)
        for language, count in Tally([result.language.code for result in results]).items():
            self._languages.labels(language).inc(count)
        for reason, count in Tally([result.not_understood for result in results]).items():
            if reason is not None:
                self._not_understood.labels(reason).inc(count)
        self._scores.observe([result.score for result in results])
        self._confidences.observe([result.confidence for result in results])
        self._unknown.observe([result.num_unknown / max(result.num_tokens, 1) for result in results])
        self._end_to_end.observe(latencies_s, exemplars)

    def dead_letters(self, topic: str, reasons: Iterable[Reason]) -> None:
        """Dead letters with these reasons are committed."""
        for reason, count in Tally(reasons).items():
            self._dead_letters.labels(reason).inc(count)
            self._records.labels(topic, "dead_letter").inc(count)

    def erased(self, topic: str, count: int) -> None:
        """`count` records with a null value have erased their streams."""
        self._records.labels(topic, "erased").inc(count)

    def skipped(self, topic: str, count: int) -> None:
        """`count` records were left out by a skip rule of their topic."""
        self._records.labels(topic, "skipped").inc(count)

    def fallbacks(self, fallbacks: Iterable[Fallback]) -> None:
        """These stood in for fields of committed records."""
        for fallback, count in Tally(fallbacks).items():
            self._fallbacks.labels(fallback).inc(count)

    def shifts(self, count: int) -> None:
        """`count` shift events are committed."""
        self._shifts.inc(count)

    def inflight(self, num_records: int, num_bytes: int) -> None:
        """The records, and their bytes, that are fetched but not yet committed."""
        self._inflight_records.set(num_records)
        self._inflight_bytes.set(num_bytes)

    def cache(self, hits: int, misses: int) -> None:
        """The number of states that a micro-batch found in memory, and of those that it did not."""
        self._cache.labels("hit").inc(hits)
        self._cache.labels("miss").inc(misses)

    def cached_streams(self, count: int) -> None:
        """The number of states in the worker's memory."""
        self._cached_streams.set(count)

    def flushing(self) -> AbstractContextManager[object]:
        """Times one write to Redis: `with metrics.flushing():`."""
        return self._flush.time()

    def flush_lag(self, num_records: int) -> None:
        """The number of committed records whose states are not yet in Redis."""
        self._flush_lag.set(num_records)

    def flush_lost(self) -> None:
        """Redis answered with *changed*."""
        self._flush_lost.inc()

    def fenced(self, by: FencedBy) -> None:
        """A partition was dropped, because Kafka or Redis (the first to refuse) may know a newer owner."""
        self._fenced.labels(by).inc()

    def rebuilt(self, count: int) -> None:
        """`count` records below the committed offset were applied to states without being published."""
        self._rebuilt.inc(count)

    def state_reset(self, reason: ResetReason, count: int = 1) -> None:
        """`count` streams restarted from an empty state."""
        self._resets.labels(reason).inc(count)

    def position_kept(self) -> None:
        """The group had no offset for a partition, so the position in Redis took its place."""
        self._position_kept.inc()

    def log_changed(self, change: LogChange) -> None:
        """A partition's log was found cut or replaced at its take-over."""
        self._log_changes.labels(change).inc()

    def lag(self, topic: str, partition: int, num_records: int) -> None:
        """The number of records in a partition after the last committed one."""
        self._lag_records.labels(topic, str(partition)).set(num_records)

    def drop_lag(self, topic: str, partition: int) -> None:
        """Stop reporting the lag of a partition that this worker no longer owns."""
        self._lag_records.remove(topic, str(partition))

    def lag_seconds(self, age_s: float) -> None:
        """The age of the oldest record not yet committed; 0 when there is none."""
        self._lag_seconds.set(age_s)

    def behind_leader(self, lags: Mapping[tuple[str, int], int]) -> None:
        """The records of each owned partition that a shadow has not processed, and the group that it follows has."""
        self._behind_leader.clear()
        for (topic, partition), num_records in lags.items():
            self._behind_leader.labels(topic, str(partition)).set(num_records)

    def agreement(self, ratio: float) -> None:
        """The share of the latest records to which a shadow and the group that it follows give the same label."""
        self._agreement.set(ratio)

    def owned(self, count: int) -> None:
        """The number of partitions that this worker owns."""
        self._owned.set(count)

    def rebalanced(self) -> None:
        """The group gave this worker an assignment, possibly an empty one."""
        self._rebalances.inc()

    def spans_dropped(self, reason: SpansDropped, count: int) -> None:
        """`count` spans will not reach the receiver of traces."""
        self._spans_dropped.labels(reason).inc(count)

    def progress(self) -> None:
        """The pipeline completed a round, even if there was nothing to do."""
        self._last_progress.set_to_current_time()

    def ready(self, ready: bool) -> None:
        """The current answer of /ready."""
        self._ready.set(ready)

    def model(self, name: str, fingerprint: str, languages: Iterable[str]) -> None:
        """The checkpoint in use, and the languages that it reads."""
        codes = list(languages)
        self._model.info({"name": name, "fingerprint": fingerprint, "languages": ",".join(codes)})
        for code in codes:
            self._languages.labels(code)
