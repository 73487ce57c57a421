"""The way of spans out of the process: by OTLP, from a bounded queue, in a thread of its own.

Endpoint, headers, certificates, sampler, queue and limits are OpenTelemetry's own variables (OTEL_*), which its SDK
reads. While the receiver is away spans are dropped; they are counted, and the first of each kind is logged.
"""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Sequence
from typing import Final

from opentelemetry.sdk.environment_variables import (
    OTEL_BSP_MAX_QUEUE_SIZE,
    OTEL_EXPORTER_OTLP_PROTOCOL,
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL,
)
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from worker.monitoring.metrics import Metrics
from worker.monitoring.series import SpansDropped
from worker.records.headers import WORKER_VERSION
from worker.settings import Settings

logger = logging.getLogger(__name__)

_QUEUE_SPANS: Final = 2048
_REASONS: Final[dict[SpansDropped, str]] = {
    "export_failed": "the receiver does not take them (log level debug says why)",
    "queue_full": "they come faster than they are exported",
}


def otlp_provider(settings: Settings, metrics: Metrics) -> TracerProvider:
    """A provider that exports by OTLP. Raises ValueError and RuntimeError for a variable that is wrong."""
    exporter = CountingExporter(_otlp_exporter(), metrics)
    queue_spans = int(os.environ.get(OTEL_BSP_MAX_QUEUE_SIZE) or _QUEUE_SPANS)
    provider = TracerProvider(resource=_resource(settings), shutdown_on_exit=False)
    provider.add_span_processor(BoundedProcessor(exporter, queue_spans))
    return provider


def _otlp_exporter() -> SpanExporter:
    variables = (OTEL_EXPORTER_OTLP_TRACES_PROTOCOL, OTEL_EXPORTER_OTLP_PROTOCOL)
    protocol = next(filter(None, map(os.environ.get, variables)), "http/protobuf")
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as by_grpc  # noqa: PLC0415

        return by_grpc.OTLPSpanExporter()
    if protocol == "http/protobuf":
        from opentelemetry.exporter.otlp.proto.http import trace_exporter as by_http  # noqa: PLC0415

        return by_http.OTLPSpanExporter()
    raise ValueError(f"{OTEL_EXPORTER_OTLP_PROTOCOL} {protocol!r} is neither http/protobuf nor grpc")


def _resource(settings: Settings) -> Resource:
    """Who this worker is. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES come before our own names."""
    ours = {
        "service.name": "sentiment-worker",
        "service.version": WORKER_VERSION,
        "service.instance.id": settings.instance_id or str(uuid.uuid4()),
    }
    return Resource.create(ours).merge(OTELResourceDetector().detect())


class CountingExporter(SpanExporter):
    """Exports by `exporter`, and counts what is dropped. num_taken: the spans that have left the queue."""

    def __init__(self, exporter: SpanExporter, metrics: Metrics) -> None:
        self._exporter = exporter
        self._metrics = metrics
        self._logged: set[SpansDropped] = set()
        self.num_taken = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """See SpanExporter; called in the exporting thread alone."""
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            self.num_taken += len(spans)
            if result is not SpanExportResult.SUCCESS:
                self.dropped("export_failed", len(spans))
        return result

    def dropped(self, reason: SpansDropped, num_spans: int = 1) -> None:
        """Count `num_spans` spans that nobody will see."""
        self._metrics.spans_dropped(reason, num_spans)
        if reason not in self._logged:
            self._logged.add(reason)
            logger.warning(
                "spans are dropped: %s. They are counted in sentiment_spans_dropped_total, and not logged again",
                _REASONS[reason],
                extra={"action": "spans_dropped"},
            )

    def shutdown(self) -> None:
        """See SpanExporter."""
        self._exporter.shutdown()


class BoundedProcessor(SpanProcessor):
    """The SDK's batch processor, which never blocks, behind a count of what waits: it says not what it drops."""

    def __init__(self, exporter: CountingExporter, max_spans: int) -> None:
        self._exporter = exporter
        self._max_spans = max_spans
        self._num_accepted = 0
        self._batches = BatchSpanProcessor(exporter, max_queue_size=max_spans)

    def on_end(self, span: ReadableSpan) -> None:
        """See SpanProcessor; called in the thread of the event loop alone."""
        if span.context is None or not span.context.trace_flags.sampled:
            return
        if self._num_accepted - self._exporter.num_taken >= self._max_spans:
            self._exporter.dropped("queue_full")
        else:
            self._num_accepted += 1
            self._batches.on_end(span)

    def shutdown(self) -> None:
        """See SpanProcessor."""
        self._batches.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """See SpanProcessor."""
        return self._batches.force_flush(timeout_millis)
