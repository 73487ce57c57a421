"""Spans reach a real receiver by either protocol, and a receiver that is away costs nothing but them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.factories.records import TWEETS, text_record
from tests.metric_names import value_of
from tests.servers.otlp import OtlpReceiver
from worker.monitoring.metrics import Metrics
from worker.monitoring.tracing.tracing import start_tracing
from worker.settings import load_settings

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


async def trace_a_batch(metrics: Metrics) -> None:
    """A worker's life, as far as it makes spans."""
    tracing = start_tracing(load_settings(traces="otlp", group="mood", instance_id="worker-3"), metrics)
    record = text_record(0, "a", "good")
    record.headers = [("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01".encode())]
    with tracing.micro_batch({TWEETS: [record]}, 0.0) as trace:
        with tracing.step("score"):
            pass
        trace.end([TWEETS])
    await tracing.close()


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_spans_reach_a_receiver_by_either_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    metrics = Metrics(["tweets"])
    with OtlpReceiver(tmp_path / "otlp") as receiver:
        endpoint = receiver.grpc_url if protocol == "grpc" else receiver.http_url
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        asyncio.run(trace_a_batch(metrics))
        receiver.stop()  # what the Collector has taken is in its file then
        found = {span.name: span for span in receiver.spans()}
    assert set(found) == {"process tweets", "poll tweets", "score"}
    root = found["process tweets"]
    assert (root.parent, root.links, root.attributes["messaging.consumer.group.name"]) == ("", [TRACE], "mood")
    assert {span.parent for span in found.values()} == {"", root.span_id}
    assert root.resource["service.instance.id"] == "worker-3"
    assert value_of(metrics, "sentiment_spans_dropped_total", reason="export_failed") == 0


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_nobody_waits_for_a_receiver_that_is_away(monkeypatch: pytest.MonkeyPatch, protocol: str) -> None:
    metrics = Metrics(["tweets"])
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    asyncio.run(asyncio.wait_for(trace_a_batch(metrics), 60))
    assert value_of(metrics, "sentiment_spans_dropped_total", reason="export_failed") == 3
