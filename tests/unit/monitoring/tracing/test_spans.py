"""The spans of micro-batches, what they link to, and the contexts that events carry on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, Sampler
from opentelemetry.trace import SpanKind, StatusCode

from model import InferenceEngine
from tests.factories.fake_brokers import FakeBrokers
from tests.factories.fake_store import FakeStore
from tests.factories.partitions import MEMBERSHIP, FakePublisher, new_partition
from tests.factories.records import TWEETS, Record, text_record
from tests.unit.processing import test_pipeline
from tests.unit.processing.test_pipeline import EndedError, Scene, texts
from tests.unit.processing.test_too_large import SmallTopics
from worker.errors import UndecidedCommitError
from worker.kafka.group_offsets import GoneError
from worker.kafka.transaction import TransactionalProducer
from worker.monitoring.tracing import spans as spans_module
from worker.monitoring.tracing.context import TraceContext, read_context
from worker.monitoring.tracing.spans import OtelTracing
from worker.ownership.partition import Partition
from worker.ownership.publisher import publisher_factory
from worker.process import CrashPoints
from worker.records.types import OutputRecord
from worker.settings import load_settings

ended = test_pipeline.ended
SETTINGS = load_settings(group="g")
STEPS = ["poll tweets", "decode", "load", "score"]


def context_of(number: int, *, sampled: bool = True) -> TraceContext:
    return TraceContext(f"{number + 1:032x}", f"{number + 1:016x}", sampled, b"vendor=x")


def traced(record: Record, *, sampled: bool = True) -> Record:
    """The record with the context of its offset."""
    record.headers = [("first", b"1"), *context_of(record.offset, sampled=sampled).headers()]
    return record


class Traced:
    """A pipeline whose spans are kept."""

    def __init__(
        self,
        engine: InferenceEngine,
        publisher: Any = None,
        *,
        partition: Partition | None = None,
        sampler: Sampler | None = None,
        **options: Any,
    ) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracing = OtelTracing(SETTINGS, provider)
        self.publisher = publisher or FakePublisher()
        owned = partition or new_partition(publisher=self.publisher)
        self.scene = Scene(engine, owned, tracing=self.tracing, flush_interval_s=0, **options)

    def run(self, *batches: Sequence[Record]) -> Sequence[OutputRecord]:
        self.scene.run(*batches)
        return list(self.publisher.outputs)

    @property
    def spans(self) -> list[ReadableSpan]:
        return sorted(self._exporter.get_finished_spans(), key=lambda span: span.start_time or 0)

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.named(name)
        return span


def ids(span: ReadableSpan) -> tuple[str, str]:
    return f"{span.get_span_context().trace_id:032x}", f"{span.get_span_context().span_id:016x}"


def linked(span: ReadableSpan) -> list[str]:
    return [f"{link.context.trace_id:032x}" for link in span.links]


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_the_spans_of_a_micro_batch_are_one_trace_with_the_conventions_attributes(
    tiny_engine: InferenceEngine,
) -> None:
    traces = Traced(tiny_engine)
    traces.run(texts(3))
    root = traces.one("process tweets")
    of_batch = {
        "messaging.system": "kafka",
        "messaging.consumer.group.name": "g",
        "messaging.destination.name": "tweets",
        "messaging.destination.partition.id": "0",
        "messaging.batch.message_count": 3,
    }
    operation = "messaging.operation.name", "messaging.operation.type"
    assert attributes(root) == of_batch | dict(zip(operation, ("process", "process"), strict=True))
    assert attributes(traces.one("poll tweets")) == of_batch | dict(zip(operation, ("poll", "receive"), strict=True))
    assert (root.parent, root.kind, linked(root)) == (None, SpanKind.CONSUMER, [])
    children = [span for span in traces.spans if span.parent and span.parent.span_id == root.context.span_id]
    assert sorted(span.name for span in children) == sorted([*STEPS, "flush"])
    assert {span.context.trace_id for span in traces.spans} == {root.context.trace_id}
    assert attributes(traces.one("flush"))["db.system.name"] == "redis"
    assert traces.one("poll tweets").start_time == root.start_time
    assert all(span.start_time >= root.start_time and span.end_time >= span.start_time for span in children)


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
    monkeypatch.setattr(test_pipeline.time, "time", lambda: 1_800_000_000.0)
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


def test_a_commit_that_is_refused_shows_in_the_spans_of_its_records(tiny_engine: InferenceEngine) -> None:
    traces = Traced(tiny_engine, FakePublisher(GoneError([TWEETS])))
    traces.run([traced(text_record(0, "a", "great flight"))])
    assert traces.one("create sentiment.events").status.status_code is StatusCode.ERROR
    assert traces.one("process tweets").end_time is not None


def test_an_error_within_a_step_shows_in_its_span_and_ends_the_trace(
    tiny_engine: InferenceEngine, ended: list[BaseException]
) -> None:
    traces = Traced(
        tiny_engine, partition=new_partition(start=5, position=5, committed=5), store=FakeStore(ValueError("broken"))
    )
    with pytest.raises(ValueError, match="broken"):
        traces.run(texts(1, start=5))
    assert traces.one("load").status.status_code is StatusCode.ERROR
    assert traces.one("process tweets").status.status_code is StatusCode.ERROR
    undecided = Traced(tiny_engine, FakePublisher(UndecidedCommitError("away")))
    with pytest.raises(EndedError):
        undecided.run(texts(1))
    assert "away" in str(ended[0])


def test_the_histogram_of_latencies_has_the_trace_of_a_sampled_record_or_else_of_the_micro_batch(
    tiny_engine: InferenceEngine,
) -> None:
    traces = Traced(tiny_engine)
    traces.run([*texts(1), traced(text_record(1, "a", "good"))])
    assert exemplar(traces) == ids(traces.one("create sentiment.events"))
    alone = Traced(tiny_engine)
    alone.run(texts(2))
    assert exemplar(alone) == ids(alone.one("process tweets"))
    unsampled = Traced(tiny_engine, sampler=ParentBased(ALWAYS_OFF))
    unsampled.run(texts(2))
    assert exemplar(unsampled) is None


def exemplar(traces: Traced) -> tuple[str, str] | None:
    """The only one of the latencies, which all are hours."""
    families = traces.scene.metrics.registry.collect()
    samples = [sample for family in families if "end_to_end" in family.name for sample in family.samples]
    found = [sample.exemplar.labels for sample in samples if sample.exemplar]
    assert len(found) <= 1
    return (found[0]["trace_id"], found[0]["span_id"]) if found else None


class BrokenSampler(ParentBased):
    def should_sample(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("broken")


def test_a_sampler_that_fails_costs_the_spans_and_is_logged_once(
    tiny_engine: InferenceEngine, caplog: pytest.LogCaptureFixture
) -> None:
    traces = Traced(tiny_engine, sampler=BrokenSampler(ALWAYS_OFF))
    (event,) = traces.run([traced(text_record(0, "a", "great flight"))])
    assert (traces.spans, read_context(event.headers)) == ([], context_of(0))
    assert [line.message for line in caplog.records if "cannot be started" in line.message] == [
        "a span cannot be started: RuntimeError('broken')"
    ]


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_publishing_and_the_commit_point_are_spans_of_the_micro_batch(
    tiny_engine: InferenceEngine, delivery: str
) -> None:
    traces = Traced(tiny_engine)
    brokers: Any = FakeBrokers()
    make = publisher_factory(load_settings(delivery=delivery), brokers, CrashPoints(None), traces.tracing)
    outputs = {TWEETS: [OutputRecord("sentiment.events", b"a", b"1", [])] * 2}

    async def scenario() -> None:
        publisher = make(MEMBERSHIP)
        await publisher.start()
        await publisher.publish(outputs, {})
        with traces.tracing.micro_batch({TWEETS: texts(1)}, 0.0) as trace:
            await publisher.publish(outputs, {})
            trace.end([TWEETS])

    asyncio.run(asyncio.wait_for(scenario(), 60))
    root, sent, committed = traces.one("process tweets"), traces.one("send sentiment.events"), traces.one("commit")
    assert {span.parent.span_id for span in (sent, committed) if span.parent} == {root.context.span_id}
    assert (sent.kind, attributes(sent)["messaging.batch.message_count"]) == (SpanKind.PRODUCER, 2)
    assert attributes(committed)["messaging.operation.type"] == "settle"
    assert sent.end_time <= committed.start_time


def test_a_producer_of_a_tool_has_no_traces() -> None:
    brokers: Any = FakeBrokers()
    producer = TransactionalProducer(load_settings(), brokers, "t", CrashPoints(None))

    async def scenario() -> None:
        await producer.start()
        await producer.commit([], {}, "g", MEMBERSHIP)

    asyncio.run(asyncio.wait_for(scenario(), 60))
    assert brokers.names[-1] == "EndTxn"
