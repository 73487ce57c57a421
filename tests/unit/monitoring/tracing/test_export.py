"""Spans on their way out: who exports them, what is dropped and counted, and that nobody waits for it."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from tests.metric_names import value_of
from worker.errors import SettingsError
from worker.monitoring.metrics import Metrics
from worker.monitoring.tracing import export, spans
from worker.monitoring.tracing.export import BoundedProcessor, CountingExporter
from worker.monitoring.tracing.spans import OtelTracing
from worker.monitoring.tracing.tracing import NO_TRACING, start_tracing
from worker.settings import Settings, load_settings

DROPPED = "sentiment_spans_dropped_total"


class Receiver(SpanExporter):
    """Takes spans once it is `open`, unless it fails."""

    def __init__(self, result: SpanExportResult | Exception = SpanExportResult.SUCCESS) -> None:
        self.open = threading.Event()
        self.result = result
        self.taken: list[ReadableSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.open.wait()
        if isinstance(self.result, Exception):
            raise self.result
        if self.result is SpanExportResult.SUCCESS:
            self.taken += spans
        return self.result


class Exporting:
    """Spans that go to `receiver` through a queue of `max_spans`."""

    def __init__(self, receiver: Receiver, max_spans: int = 512) -> None:
        self.metrics = Metrics(["tweets"])
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(BoundedProcessor(CountingExporter(receiver, self.metrics), max_spans))
        self.tracing = OtelTracing(load_settings(), self.provider)

    def make(self, count: int) -> None:
        for number in range(count):
            self.provider.get_tracer("test").start_span(str(number)).end()

    def dropped(self, reason: str) -> float | None:
        return value_of(self.metrics, DROPPED, reason=reason)


def traced(**flags: Any) -> Settings:
    return load_settings(traces="otlp", **flags)


def made_exporter(settings: Settings) -> Any:
    provider = export.otlp_provider(settings, Metrics(["tweets"]))
    (processor,) = provider._active_span_processor._span_processors
    provider.shutdown()
    return processor._exporter._exporter  # type: ignore[attr-defined]


def test_traces_are_off_unless_asked_for() -> None:
    assert load_settings().traces == "off"
    assert start_tracing(load_settings(), Metrics(["tweets"])) is NO_TRACING


def test_the_protocol_is_that_of_opentelemetrys_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(made_exporter(traced()), HttpExporter)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    assert isinstance(made_exporter(traced()), GrpcExporter)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf")
    assert isinstance(made_exporter(traced()), HttpExporter)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier-pigeon"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-1"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "none"),
    ],
)
def test_a_variable_of_opentelemetry_that_is_wrong_is_named_at_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match="traces otlp: OpenTelemetry refuses its variables"):
        start_tracing(traced(), Metrics(["tweets"]))


def test_the_worker_is_named_by_its_version_and_instance_unless_variables_name_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of_worker = export.otlp_provider(traced(instance_id="worker-3"), Metrics(["tweets"]))
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mood")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=me,deployment.environment.name=test")
    of_operator = export.otlp_provider(traced(), Metrics(["tweets"]))
    for provider in (of_worker, of_operator):
        provider.shutdown()
    found = dict(of_worker.resource.attributes)
    assert found | {"service.name": "sentiment-worker", "service.instance.id": "worker-3"} == found
    assert found["service.version"]
    found = dict(of_operator.resource.attributes)
    assert (found["service.name"], found["service.instance.id"]) == ("mood", "me")
    assert found["deployment.environment.name"] == "test"


def test_a_receiver_that_hangs_costs_spans_beyond_the_queue_which_are_counted_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    receiver = Receiver()
    exporting = Exporting(receiver)
    began_s = time.monotonic()
    exporting.make(700)
    assert time.monotonic() - began_s < 10, "nobody waits for the receiver"
    assert exporting.dropped("queue_full") == 700 - 512
    receiver.open.set()
    exporting.provider.shutdown()
    assert len(receiver.taken) == 512
    assert len([line for line in caplog.records if "spans are dropped" in line.message]) == 1


@pytest.mark.parametrize("result", [SpanExportResult.FAILURE, RuntimeError("away")])
def test_spans_that_a_receiver_refuses_are_counted_and_logged_once(
    caplog: pytest.LogCaptureFixture, result: SpanExportResult | Exception
) -> None:
    receiver = Receiver(result)
    receiver.open.set()
    exporting = Exporting(receiver)
    exporting.make(300)
    exporting.provider.shutdown()
    assert exporting.dropped("export_failed") == 300
    (line,) = [line for line in caplog.records if "spans are dropped" in line.message]
    assert vars(line)["action"] == "spans_dropped"


def test_a_worker_that_ends_exports_what_is_left_but_waits_for_no_receiver_that_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receiver = Receiver()
    receiver.open.set()
    exporting = Exporting(receiver)
    exporting.make(3)
    asyncio.run(exporting.tracing.close())
    assert len(receiver.taken) == 3
    monkeypatch.setattr(spans, "FLUSH_TIMEOUT_S", 0.05)
    hanging = Receiver()
    exporting = Exporting(hanging)
    exporting.make(3)
    began_s = time.monotonic()
    asyncio.run(exporting.tracing.close())
    assert time.monotonic() - began_s < 10
    hanging.open.set()


def test_without_the_extra_traces_are_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr("worker.settings.find_spec", lambda name: None if ".grpc" in name else find_spec(name))
    with pytest.raises(SettingsError, match=r"traces otlp needs OpenTelemetry: pip install .*\[otel\]"):
        traced(max_batch=0)


WITHOUT_OPENTELEMETRY = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Refuse())
import worker.service.app
from worker.errors import SettingsError
from worker.monitoring.metrics import Metrics
from worker.monitoring.tracing.tracing import NO_TRACING, start_tracing
from worker.settings import load_settings

assert start_tracing(load_settings(), Metrics(["tweets"])) is NO_TRACING
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
assert not {"worker.monitoring.tracing.spans", "worker.monitoring.tracing.export"} & set(sys.modules)
try:
    load_settings(traces="otlp")
except SettingsError as error:
    print(error)
"""


def test_the_worker_runs_where_opentelemetry_is_not_installed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_OPENTELEMETRY], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "traces otlp needs OpenTelemetry: pip install '.[otel]'" in done.stdout
