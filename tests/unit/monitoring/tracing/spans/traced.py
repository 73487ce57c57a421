"""A pipeline whose spans are kept, records with trace contexts, and what a span tells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler

from model import InferenceEngine
from tests.factories.partitions import FakePublisher, new_partition
from tests.factories.records import Record
from tests.unit.processing.pipeline.scene import Scene
from worker.monitoring.tracing.context import TraceContext
from worker.monitoring.tracing.spans import OtelTracing
from worker.ownership.partition import Partition
from worker.records.types import OutputRecord
from worker.settings import load_settings

SETTINGS = load_settings(group="g")


def context_of(number: int, *, sampled: bool = True) -> TraceContext:
    return TraceContext(f"{number + 1:032x}", f"{number + 1:016x}", sampled, b"vendor=x")


def traced(record: Record, *, sampled: bool = True) -> Record:
    """The record with the context of its offset."""
    record.headers = [("first", b"1"), *context_of(record.offset, sampled=sampled).headers()]  # type: ignore[list-item]
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
    context = span.get_span_context()
    assert context is not None
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


def linked(span: ReadableSpan) -> list[str]:
    return [f"{link.context.trace_id:032x}" for link in span.links]


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})
