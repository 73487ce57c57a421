"""The trace contexts that records came with, and OpenTelemetry's own form of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from opentelemetry.trace import SpanContext, TraceFlags
from opentelemetry.trace.span import TraceState

from worker.monitoring.tracing.context import TraceContext, read_context
from worker.records.types import TopicPartition

Place = tuple[str, int, int]  # topic, partition, offset


def record_contexts(records: Mapping[TopicPartition, Sequence[Any]]) -> Iterator[tuple[Place, TraceContext]]:
    """The trace contexts of the records that have one."""
    for of_partition in records.values():
        for record in of_partition:
            if record.headers and (context := read_context(record.headers)) is not None:
                yield place_of(record), context


def remote_context(context: TraceContext) -> SpanContext:
    """The context as OpenTelemetry's own."""
    state = TraceState.from_header([context.tracestate.decode()]) if context.tracestate else None
    flags = TraceFlags(int(context.sampled))
    return SpanContext(
        int(context.trace_id, 16), int(context.span_id, 16), is_remote=True, trace_flags=flags, trace_state=state
    )


def place_of(record: Any) -> Place:
    """Where the record is in the log."""
    return record.topic, record.partition, record.offset


def hex_ids(context: SpanContext) -> tuple[str, str]:
    """The ids of trace and span, as headers have them."""
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"
