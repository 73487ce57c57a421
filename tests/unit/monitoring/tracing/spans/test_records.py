"""The traces of records: which a micro-batch links to, and which their events carry on."""

from __future__ import annotations

import time

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import SpanKind, StatusCode

from model import InferenceEngine
from tests.factories.partitions import FakePublisher, new_partition
from tests.factories.records import Record, text_record
from tests.unit.monitoring.tracing.spans.traced import Traced, attributes, context_of, ids, linked, traced
from tests.unit.processing.pipeline.scene import Scene, SmallTopics, texts
from worker.monitoring.tracing import spans as spans_module
from worker.monitoring.tracing.context import TraceContext, read_context


def test_an_event_carries_on_the_trace_of_its_record_through_a_span_of_the_worker(
    tiny_engine: InferenceEngine,
) -> None:
    traces = Traced(tiny_engine)
    first, second, third = traces.run([traced(text_record(0, "a", "good")), *texts(2, start=1)])
    root, made = traces.one("process tweets"), traces.one("create sentiment.events")
    assert linked(root) == [context_of(0).trace_id]
    assert ids(made)[0] == context_of(0).trace_id
    assert made.parent is not None
    assert (f"{made.parent.span_id:016x}", made.parent.is_remote) == (context_of(0).span_id, True)
    assert linked(made) == [ids(root)[0]]
    assert (made.kind, made.status.status_code) == (SpanKind.PRODUCER, StatusCode.UNSET)
    assert attributes(made)["messaging.message.id"] == "tweets-0-0"
    assert read_context(first.headers) == TraceContext(*ids(made), True, b"vendor=x")
    assert [name for name, _ in first.headers][-2:] == ["traceparent", "tracestate"]
    assert [read_context(output.headers) for output in (second, third)] == [None, None]


def test_but_for_its_trace_headers_an_event_is_the_same_whether_traces_are_on_or_off(
    tiny_engine: InferenceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.0)
    records = [traced(text_record(0, "a", "good")), traced(Record(1, b"a", b"{")), *texts(2, start=2)]
    on = Traced(tiny_engine).run(records)
    publisher = FakePublisher()
    Scene(tiny_engine, new_partition(publisher=publisher)).run(records)
    assert len(on) == len(publisher.outputs) == 4
    for with_traces, without in zip(on, publisher.outputs, strict=True):
        assert with_traces[:3] == without[:3]
        assert list(with_traces.headers)[: len(without.headers)] == list(without.headers)
    assert [len(a.headers) - len(b.headers) for a, b in zip(on, publisher.outputs, strict=True)] == [2, 0, 0, 0]


def test_a_trace_that_is_not_sampled_goes_on_as_it_came_without_a_span(tiny_engine: InferenceEngine) -> None:
    traces = Traced(tiny_engine)
    (event,) = traces.run([traced(text_record(0, "a", "good"), sampled=False)])
    assert read_context(event.headers) == context_of(0, sampled=False)
    assert (linked(traces.one("process tweets")), traces.named("create sentiment.events")) == ([], [])


def test_a_micro_batch_that_is_not_sampled_still_hands_on_the_traces_of_its_records(
    tiny_engine: InferenceEngine,
) -> None:
    traces = Traced(tiny_engine, sampler=ParentBased(ALWAYS_OFF))
    sampled, other = traces.run(
        [traced(text_record(0, "a", "good")), traced(text_record(1, "a", "bad"), sampled=False)]
    )
    (made,) = traces.spans
    assert (made.name, linked(made)) == ("create sentiment.events", [])
    assert read_context(sampled.headers) == TraceContext(*ids(made), True, b"vendor=x")
    assert read_context(other.headers) == context_of(1, sampled=False)


def test_one_micro_batch_makes_a_bounded_number_of_links_and_spans_and_the_other_traces_go_on(
    tiny_engine: InferenceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spans_module, "MAX_RECORD_SPANS", 2)
    traces = Traced(tiny_engine)
    events = traces.run([traced(record) for record in texts(5)])
    assert linked(traces.one("process tweets")) == [context_of(number).trace_id for number in range(2)]
    assert len(traces.named("create sentiment.events")) == 2
    contexts = [read_context(event.headers) for event in events]
    assert [context.trace_id for context in contexts if context] == [context_of(n).trace_id for n in range(5)]
    assert contexts[2:] == [context_of(number) for number in range(2, 5)]


def test_the_link_limit_of_the_environment_counts_where_it_is_lower(
    tiny_engine: InferenceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SPAN_LINK_COUNT_LIMIT", "1")
    traces = Traced(tiny_engine)
    traces.run([traced(record) for record in texts(3)])
    assert linked(traces.one("process tweets")) == [context_of(0).trace_id]


@pytest.mark.parametrize(
    "value", [None, b"", b"nonsense", b"00-" + b"0" * 32 + b"-" + b"1" * 16 + b"-01", b"\xff" * 99]
)
def test_a_malformed_traceparent_costs_nothing_but_its_trace(tiny_engine: InferenceEngine, value: bytes | None) -> None:
    traces = Traced(tiny_engine)
    record = text_record(0, "a", "good")
    record.headers = [("traceparent", value), ("tracestate", b"a=b")]  # type: ignore[list-item]
    (event,) = traces.run([record])
    assert event.topic == "sentiment.events"
    assert not {"traceparent", "tracestate"} & {name for name, _ in event.headers}
    assert linked(traces.one("process tweets")) == []


def test_a_dead_letter_keeps_the_headers_of_its_record_and_its_span_says_why(tiny_engine: InferenceEngine) -> None:
    traces = Traced(tiny_engine)
    (letter,) = traces.run([traced(Record(0, b"a", b"{"))])
    assert list(letter.headers)[:3] == [("first", b"1"), *context_of(0).headers()]
    assert read_context(letter.headers) == context_of(0)
    made = traces.one("create sentiment.events")
    assert (made.status.status_code, attributes(made)["error.type"]) == (StatusCode.ERROR, "invalid_json")


def test_a_dead_letter_that_is_cut_goes_on_with_the_trace(tiny_engine: InferenceEngine) -> None:
    traces = Traced(tiny_engine)
    (letter,) = traces.run([traced(Record(0, b"a", b"{" * 1_000_000))])
    assert "sentiment-cut-from" in dict(letter.headers)
    assert read_context(letter.headers) == TraceContext(*ids(traces.one("create sentiment.events")), True, b"vendor=x")


def test_an_event_that_its_topic_takes_only_without_a_trace_context_is_published_without(
    tiny_engine: InferenceEngine,
) -> None:
    plain = FakePublisher()
    Scene(tiny_engine, new_partition(publisher=plain)).run([text_record(0, "a", "great flight")])
    (event,) = plain.outputs
    size = sum(len(name) + len(value or b"") for name, value in event.headers) + len(event.value or b"") + 1
    traces = Traced(tiny_engine, SmallTopics(events=size + 50))
    (event,) = traces.run([traced(text_record(0, "a", "great flight"))])
    assert (event.topic, read_context(event.headers)) == ("sentiment.events", None)
    traces = Traced(tiny_engine, SmallTopics(events=size // 2))
    (letter,) = traces.run([traced(text_record(0, "a", "great flight"))])
    assert letter.topic == "sentiment.deadletters"


def test_a_record_that_comes_again_has_the_same_link_another_span_and_no_second_event(
    tiny_engine: InferenceEngine,
) -> None:
    before, after = Traced(tiny_engine), Traced(tiny_engine, partition=new_partition(committed=1))
    record = traced(text_record(0, "a", "great flight"))
    assert len(before.run([record])) == 1
    assert after.run([record]) == []
    assert linked(before.one("process tweets")) == linked(after.one("process tweets")) == [context_of(0).trace_id]
    assert ids(before.one("process tweets")) != ids(after.one("process tweets"))
    assert after.named("create sentiment.events") == []
