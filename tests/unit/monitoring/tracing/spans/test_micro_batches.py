"""The spans of a micro-batch: its steps, their errors, and what is published and committed within it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import SpanKind, StatusCode

from model import InferenceEngine
from tests.factories.fake_brokers import FakeBrokers
from tests.factories.fake_store import FakeStore
from tests.factories.partitions import MEMBERSHIP, FakePublisher, new_partition
from tests.factories.records import TWEETS, text_record
from tests.unit.monitoring.tracing.spans.traced import Traced, attributes, context_of, ids, linked, traced
from tests.unit.processing.pipeline.scene import EndedError, texts
from worker.errors import UndecidedCommitError
from worker.kafka.group_offsets import GoneError
from worker.kafka.transaction import TransactionalProducer
from worker.monitoring.tracing.context import read_context
from worker.ownership.publisher import publisher_factory
from worker.process import CrashPoints
from worker.records.types import OutputRecord
from worker.settings import load_settings

STEPS = ["poll tweets", "decode", "load", "score"]


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
