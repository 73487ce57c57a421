"""Spans in OpenTelemetry's semantic conventions for messaging (https://opentelemetry.io/docs/specs/semconv/messaging/).

A micro-batch is a trace of its own, whose root links to the records that came with a context:

    process tweets               CONSUMER   first record to commit
      poll tweets                CLIENT     first record to the start of step 2
      decode, load, score        INTERNAL   steps 2 to 4
      send sentiment.events      PRODUCER   step 5, up to the commit point
      commit                     CLIENT     step 5, the commit point
    flush                        CLIENT     step 6, a trace of its own unless it follows the commit at once

Within the trace of a record that is sampled there is one span, `create sentiment.events`, from the micro-batch's first
record to its commit, which links to `process`. The event and the shift of the record carry its context. Other contexts
are handed on as they came: those that are not sampled, and those beyond the limit of a micro-batch.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import islice
from typing import Any, Final

from opentelemetry import context as current
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    get_current_span,
    set_span_in_context,
    use_span,
)

from worker.monitoring.histogram import Exemplar
from worker.monitoring.tracing.context import TRACEPARENT, TraceContext
from worker.monitoring.tracing.record_contexts import Place, hex_ids, place_of, record_contexts, remote_context
from worker.monitoring.tracing.tracing import Addressed, BatchTrace, Published, Step
from worker.records.codec import has_timestamp
from worker.records.headers import WORKER_VERSION
from worker.records.types import OutputRecord, TopicPartition
from worker.settings import Settings

logger = logging.getLogger(__name__)

# Spans in records' traces that one micro-batch makes at most, so that tracing costs little at any rate.
MAX_RECORD_SPANS: Final = 128
FLUSH_TIMEOUT_S: Final = 3.0

_DESTINATION, _PARTITION = "messaging.destination.name", "messaging.destination.partition.id"


class OtelTracing:
    """See Tracing."""

    def __init__(self, settings: Settings, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("streaming-sentiment", WORKER_VERSION)
        self._attributes = {"messaging.system": "kafka", "messaging.consumer.group.name": settings.group}
        self._events_topic = settings.events_topic
        max_links = SpanLimits().max_links
        self._max_links = MAX_RECORD_SPANS if max_links is None else min(MAX_RECORD_SPANS, max_links)
        self._has_failed = False

    @contextmanager
    def micro_batch(self, records: Mapping[TopicPartition, Sequence[Any]], created_s: float) -> Iterator[BatchTrace]:
        """See Tracing."""
        began_ns = time.time_ns() - int((time.monotonic() - created_s) * 1e9)
        contexts = dict(record_contexts(records))
        sampled = (context._replace(tracestate=b"") for context in contexts.values() if context.sampled)
        links = [remote_context(context) for context in islice(dict.fromkeys(sampled), self._max_links)]
        topics = {tp.topic for tp in records}
        attributes: dict[str, Any] = {"messaging.batch.message_count": sum(map(len, records.values()))}
        if len(records) == 1:
            attributes |= {_PARTITION: str(next(iter(records)).partition)}
        root = self.operation("process", "process", SpanKind.CONSUMER, topics, attributes, began_ns, links)
        try:
            with use_span(root):
                self.operation("poll", "receive", SpanKind.CLIENT, topics, attributes, began_ns).end()
                yield OtelBatchTrace(self, root, contexts, began_ns)
        except BaseException:
            root.end()
            raise

    def step(self, step: Step) -> AbstractContextManager[object]:
        """See Tracing."""
        return self._within(step, SpanKind.INTERNAL, {})

    def sending(self, records: Collection[Addressed]) -> AbstractContextManager[object]:
        """See Tracing."""
        if not records or not get_current_span().is_recording():
            return nullcontext()
        topics, attributes = {record.topic for record in records}, {"messaging.batch.message_count": len(records)}
        return use_span(self.operation("send", "send", SpanKind.PRODUCER, topics, attributes), end_on_exit=True)

    def committing(self) -> AbstractContextManager[object]:
        """See Tracing."""
        operation = {"messaging.operation.name": "commit", "messaging.operation.type": "settle"}
        return self._within("commit", SpanKind.CLIENT, self._attributes | operation)

    def flushing(self, tp: TopicPartition) -> AbstractContextManager[object]:
        """See Tracing."""
        attributes = {"db.system.name": "redis", _DESTINATION: tp.topic, _PARTITION: str(tp.partition)}
        return use_span(self._start("flush", SpanKind.CLIENT, attributes), end_on_exit=True)

    async def close(self) -> None:
        """See Tracing. An exporter whose receiver is away tries for longer than a drain may take."""
        closing = threading.Thread(target=self._provider.shutdown, name="close-traces", daemon=True)
        closing.start()
        await asyncio.to_thread(closing.join, FLUSH_TIMEOUT_S)

    def create(self, context: TraceContext, root: Span, began_ns: int, message_id: str) -> Span:
        """The span in a record's trace that makes its event."""
        attributes = {"messaging.message.id": message_id}
        parent = set_span_in_context(NonRecordingSpan(remote_context(context)), current.Context())
        links = [root.get_span_context()] if root.is_recording() else []
        topics = {self._events_topic}
        return self.operation("create", "create", SpanKind.PRODUCER, topics, attributes, began_ns, links, parent)

    def operation(  # noqa: PLR0913, PLR0917 - what tells a span from others
        self,
        name: str,
        kind_of_operation: str,
        kind: SpanKind,
        topics: Collection[str],
        attributes: Mapping[str, Any],
        began_ns: int | None = None,
        links: Sequence[SpanContext] = (),
        parent: current.Context | None = None,
    ) -> Span:
        """Start a span of messaging. Its name and its destination name the topic, if there is just one."""
        attributes = {
            **self._attributes,
            "messaging.operation.name": name,
            "messaging.operation.type": kind_of_operation,
            **attributes,
        }
        if len(topics) == 1:
            (topic,) = topics
            name, attributes[_DESTINATION] = f"{name} {topic}", topic
        return self._start(name, kind, attributes, began_ns, links, parent)

    def _within(self, name: str, kind: SpanKind, attributes: Mapping[str, str]) -> AbstractContextManager[object]:
        """A span within that of a micro-batch, if there is one."""
        if not get_current_span().is_recording():
            return nullcontext()
        return use_span(self._start(name, kind, attributes), end_on_exit=True)

    def _start(  # noqa: PLR0913, PLR0917 - those of the tracer
        self,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, Any],
        began_ns: int | None = None,
        links: Sequence[SpanContext] = (),
        parent: current.Context | None = None,
    ) -> Span:
        """Start a span; a sampler of somebody else's that fails must not fail the worker."""
        try:
            return self._tracer.start_span(
                name, parent, kind, dict(attributes), [Link(one) for one in links], start_time=began_ns
            )
        except Exception as error:
            if not self._has_failed:
                logger.warning("a span cannot be started: %r", error, extra={"action": "spans_dropped"})
            self._has_failed = True
            return INVALID_SPAN


class OtelBatchTrace:
    """See BatchTrace."""

    def __init__(self, tracing: OtelTracing, root: Span, contexts: Mapping[Place, TraceContext], began_ns: int) -> None:
        self._tracing = tracing
        self._root = root
        self._contexts = contexts
        self._began_ns = began_ns
        self._spans: dict[Place, tuple[Span, Any]] = {}  # with the record's item
        self._handed_on: dict[Place, TraceContext] = {}

    def inject(self, published: Published) -> None:
        """See BatchTrace. A dead letter has its record's own headers, so that only one that was cut lacks a context."""
        if self._contexts:
            published.outputs = [
                self._injected(item, output) for item, output in zip(published.origins, published.outputs, strict=True)
            ]

    def _injected(self, item: Any, output: OutputRecord) -> OutputRecord:
        place = place_of(item.record)
        context = self._contexts.get(place)
        if context is None:
            return output
        if place not in self._handed_on:
            self._handed_on[place] = self._continue(place, context, item)
        if any(name == TRACEPARENT for name, _ in output.headers):
            return output
        return output._replace(headers=[*output.headers, *self._handed_on[place].headers()])

    def _continue(self, place: Place, context: TraceContext, item: Any) -> TraceContext:
        """The context that goes on from `context`: that of a span of ours, or itself."""
        if not context.sampled or len(self._spans) >= MAX_RECORD_SPANS:
            return context
        span = self._tracing.create(context, self._root, self._began_ns, "{}-{}-{}".format(*place))
        made = span.get_span_context()
        if not made.is_valid:
            return context
        if span.is_recording():
            self._spans[place] = span, item
        return TraceContext(*hex_ids(made), made.trace_flags.sampled, made.trace_state.to_header().encode())

    def exemplars(self, records: Iterable[Any], now_ms: float) -> Sequence[Exemplar]:
        """See BatchTrace: of the records' own traces, else the micro-batch's for the slowest record."""
        timed = [record for record in records if has_timestamp(record.timestamp)]
        found = [
            Exemplar((now_ms - record.timestamp) / 1000, *hex_ids(self._spans[place][0].get_span_context()))
            for record in (timed if self._spans else ())
            if (place := place_of(record)) in self._spans
        ]
        if found or not timed or not self._root.is_recording():
            return found
        slowest_ms = min(record.timestamp for record in timed)
        return [Exemplar((now_ms - slowest_ms) / 1000, *hex_ids(self._root.get_span_context()))]

    def end(self, committed: Collection[TopicPartition]) -> None:
        """See BatchTrace."""
        refused = Status(StatusCode.ERROR, "not committed: the partition has another owner")
        for (topic, number, _), (span, item) in self._spans.items():
            if (topic, number) not in committed:
                span.set_status(refused)
            elif item.error is not None:
                span.set_attribute("error.type", item.error.reason.value)
                span.set_status(Status(StatusCode.ERROR, "a dead letter"))
            span.end()
        self._root.end()
