"""The metrics that a worker exposes, and how events are counted."""

import time
from typing import NamedTuple, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from model import Language, NotUnderstood
from worker.errors import Reason
from worker.monitoring.histogram import BatchHistogram, Exemplar
from worker.monitoring.metrics import Metrics
from worker.monitoring.series import Outcome
from worker.records.types import Fallback, ResetReason

TOPICS = ("tweets", "reviews")

# The name and labels of every documented metric, as queries use them.
PROMISED = {
    "sentiment_records_total": {"topic", "outcome"},
    "sentiment_events_total": {"label"},
    "sentiment_batch_records_count": set(),
    "sentiment_batch_wait_seconds_count": set(),
    "sentiment_stage_seconds_count": {"stage"},
    "sentiment_end_to_end_seconds_count": set(),
    "sentiment_state_cache_total": {"result"},
    "sentiment_flush_seconds_count": set(),
    "sentiment_flush_lag_records": set(),
    "sentiment_flush_lost_total": set(),
    "sentiment_spans_dropped_total": {"reason"},
    "sentiment_fenced_total": {"by"},
    "sentiment_rebuilt_records_total": set(),
    "sentiment_state_resets_total": {"reason"},
    "sentiment_dead_letters_total": {"reason"},
    "sentiment_fallbacks_total": {"fallback"},
    "sentiment_shifts_total": set(),
    "sentiment_position_kept_total": set(),
    "sentiment_lag_records": {"topic", "partition"},
    "sentiment_lag_seconds": set(),
    "sentiment_inflight_records": set(),
    "sentiment_inflight_bytes": set(),
    "sentiment_cached_streams": set(),
    "sentiment_unknown_token_ratio_count": set(),
    "sentiment_confidence_count": set(),
    "sentiment_rebalances_total": set(),
    "sentiment_score_bucket": {"le"},
    "sentiment_model_info": {"name", "fingerprint", "languages"},
    "sentiment_not_understood_total": {"reason"},
    "sentiment_owned_partitions": set(),
    "sentiment_last_progress_timestamp_seconds": set(),
    "sentiment_ready": set(),
    "process_resident_memory_bytes": set(),
}


class Result(NamedTuple):
    label: str
    score: float
    num_tokens: int = 10
    num_unknown: int = 0
    confidence: float = 0.9
    language: Language = Language("en", 0.9)
    not_understood: NotUnderstood | None = None


@pytest.fixture
def metrics():
    return Metrics(TOPICS)


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(name, labels)


def test_every_documented_metric_is_exposed_with_its_labels(metrics):
    metrics.model("default", "0123456789abcdef", ["de", "en"])
    metrics.lag("tweets", 0, 0)
    samples = [sample for family in parse(generate_latest(metrics.registry).decode()) for sample in family.samples]
    labels = {sample.name: set(sample.labels) for sample in samples}
    assert {name: labels.get(name) for name in PROMISED} == PROMISED


def test_the_exposition_is_valid_openmetrics_too(metrics):
    metrics.committed("tweets", [Result("negative", -0.9)], [0.01])
    names = {family.name for family in parse_openmetrics(openmetrics.generate_latest(metrics.registry).decode())}
    assert {"sentiment_score", "sentiment_end_to_end_seconds"} <= names


def test_series_with_known_labels_start_at_zero_so_that_a_rate_counts_the_first_event(metrics):
    for topic in TOPICS:
        for outcome in get_args(Outcome):
            assert value(metrics, "sentiment_records_total", topic=topic, outcome=outcome) == 0
    for reason in Reason:
        assert value(metrics, "sentiment_dead_letters_total", reason=reason.value) == 0
    for reason in ResetReason:
        assert value(metrics, "sentiment_state_resets_total", reason=reason) == 0
    for fallback in Fallback:
        assert value(metrics, "sentiment_fallbacks_total", fallback=fallback) == 0
    for by in ("kafka", "redis"):
        assert value(metrics, "sentiment_fenced_total", by=by) == 0


def test_a_committed_batch_is_counted_by_topic_label_score_and_latency(metrics):
    results = [Result("positive", 0.9), Result("positive", 0.5, 4, 1), Result("negative", -0.7, 0, 0)]
    metrics.committed("reviews", results, [0.004, 0.3, 7200.0])
    assert value(metrics, "sentiment_records_total", topic="reviews", outcome="scored") == 3
    assert value(metrics, "sentiment_records_total", topic="tweets", outcome="scored") == 0
    assert value(metrics, "sentiment_events_total", label="positive") == 2
    assert value(metrics, "sentiment_events_total", label="negative") == 1
    assert value(metrics, "sentiment_score_bucket", le="-0.6") == 1
    assert value(metrics, "sentiment_score_bucket", le="0.6") == 2
    assert value(metrics, "sentiment_score_bucket", le="+Inf") == 3
    assert value(metrics, "sentiment_end_to_end_seconds_bucket", le="0.005") == 1
    assert value(metrics, "sentiment_end_to_end_seconds_bucket", le="3600.0") == 2
    assert value(metrics, "sentiment_end_to_end_seconds_count") == 3
    assert value(metrics, "sentiment_unknown_token_ratio_sum") == 0.25
    assert value(metrics, "sentiment_confidence_bucket", le="0.8") == 0
    assert value(metrics, "sentiment_confidence_bucket", le="0.9") == 3


def test_events_are_counted_by_language_and_those_not_understood_by_reason(metrics):
    other = Result("neutral", 0.1, language=Language("de", 0.9), not_understood="language")
    metrics.committed("reviews", [Result("positive", 0.9), other, other], [])
    assert value(metrics, "sentiment_languages_total", language="en") == 1
    assert value(metrics, "sentiment_languages_total", language="de") == 2
    assert value(metrics, "sentiment_not_understood_total", reason="language") == 2
    assert value(metrics, "sentiment_not_understood_total", reason="unknown_tokens") == 0


def test_a_dead_letter_is_counted_as_a_record_and_by_its_reason(metrics):
    metrics.dead_letters("tweets", [Reason.NO_TEXT, Reason.NO_TEXT, Reason.INVALID_JSON])
    assert value(metrics, "sentiment_records_total", topic="tweets", outcome="dead_letter") == 3
    assert value(metrics, "sentiment_dead_letters_total", reason="no_text") == 2
    assert value(metrics, "sentiment_dead_letters_total", reason="invalid_json") == 1


def test_a_stage_is_timed_once_for_each_batch(metrics):
    for _ in range(2):
        with metrics.stage("score"):
            pass
    assert value(metrics, "sentiment_stage_seconds_count", stage="score") == 2
    assert value(metrics, "sentiment_stage_seconds_count", stage="commit") == 0


def test_the_lag_of_a_revoked_partition_is_no_longer_reported(metrics):
    metrics.lag("tweets", 3, 17)
    assert value(metrics, "sentiment_lag_records", topic="tweets", partition="3") == 17
    metrics.drop_lag("tweets", 3)
    assert value(metrics, "sentiment_lag_records", topic="tweets", partition="3") is None
    metrics.drop_lag("tweets", 3)


def test_events_in_the_life_of_states_are_counted(metrics):
    metrics.cache(hits=5, misses=2)
    metrics.cached_streams(7)
    metrics.flush_lag(40)
    metrics.flush_lost()
    metrics.fenced("redis")
    metrics.rebuilt(100)
    metrics.state_reset(ResetReason.EXPIRED, 3)
    metrics.position_kept()
    with metrics.flushing():
        pass
    assert value(metrics, "sentiment_state_cache_total", result="hit") == 5
    assert value(metrics, "sentiment_state_cache_total", result="miss") == 2
    assert value(metrics, "sentiment_cached_streams") == 7
    assert value(metrics, "sentiment_flush_lag_records") == 40
    assert value(metrics, "sentiment_flush_lost_total") == 1
    assert value(metrics, "sentiment_fenced_total", by="redis") == 1
    assert value(metrics, "sentiment_rebuilt_records_total") == 100
    assert value(metrics, "sentiment_state_resets_total", reason="expired") == 3
    assert value(metrics, "sentiment_position_kept_total") == 1
    assert value(metrics, "sentiment_flush_seconds_count") == 1


def test_two_workers_in_one_process_have_separate_metrics(metrics):
    other = Metrics(TOPICS)
    metrics.shifts(1)
    assert value(metrics, "sentiment_shifts_total") == 1
    assert value(other, "sentiment_shifts_total") == 0


BOUNDS = (-0.5, 0.0, 0.25, 1.0)


@given(st.lists(st.lists(st.floats(-2, 2) | st.sampled_from(BOUNDS), max_size=20), max_size=5))
def test_a_batch_histogram_counts_like_the_librarys_own_histogram(batches):
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    batched = BatchHistogram("h", "h", BOUNDS, ours)
    single = Histogram("h", "h", buckets=BOUNDS, registry=theirs)
    for batch in batches:
        batched.observe(batch)
        for number in batch:
            single.observe(number)
    for bound in (*map(str, BOUNDS), "+Inf"):
        labels = {"le": bound}
        assert ours.get_sample_value("h_bucket", labels) == theirs.get_sample_value("h_bucket", labels)


@given(st.lists(st.lists(st.floats(0, 2), max_size=20), max_size=5))
def test_a_batch_histogram_has_the_sum_and_the_count_of_its_values(batches):
    registry = CollectorRegistry()
    histogram = BatchHistogram("h", "h", (0.0, 1.0), registry)
    for batch in batches:
        histogram.observe(batch)
    assert registry.get_sample_value("h_count") == sum(map(len, batches))
    assert registry.get_sample_value("h_sum") == pytest.approx(sum(map(sum, batches)))


def test_a_bucket_shows_the_last_trace_of_its_own_values_to_scrapers_that_ask_for_openmetrics(metrics):
    metrics.committed("tweets", [], [0.1, 0.2, 9.0], [Exemplar(0.1, "1" * 32, "1" * 16)])
    metrics.committed("tweets", [], [0.1], [Exemplar(0.1, "2" * 32, "2" * 16), Exemplar(9e9, "3" * 32, "3" * 16)])
    text = openmetrics.generate_latest(metrics.registry).decode()
    samples = [sample for family in parse_openmetrics(text) for sample in family.samples if sample.exemplar]
    found = {sample.labels["le"]: (sample.exemplar.labels, sample.exemplar.value) for sample in samples}
    assert {sample.name for sample in samples} == {"sentiment_end_to_end_seconds_bucket"}
    assert found == {
        "0.1": ({"trace_id": "2" * 32, "span_id": "2" * 16}, 0.1),
        "+Inf": ({"trace_id": "3" * 32, "span_id": "3" * 16}, 9e9),
    }
    assert all(abs(float(sample.exemplar.timestamp) - time.time()) < 600 for sample in samples)
    assert "trace_id" not in generate_latest(metrics.registry).decode()
