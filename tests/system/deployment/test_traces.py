"""Traces of real workers on a real receiver: they continue through the worker, and cost no record whatever happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests import kafka_tools
from tests.servers.otlp import OtlpReceiver, ReceivedSpan
from tests.system.inputs import Input, now_ms, tweets
from tests.system.scene import Scene
from worker.errors import Reason

END_TIMEOUT_S = 60.0
POLL_S = 0.1


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OtlpReceiver]:
    """The receiver to which workers export at once, by HTTP."""
    with OtlpReceiver(tmp_path / "otlp") as made:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.http_url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
        yield made


def with_context(number: int, one: Input, flags: str = "01") -> Input:
    """The input with a trace of its own."""
    return replace(one, headers=(("traceparent", f"00-{number:032x}-{number:016x}-{flags}".encode()),))


def traceparents(scene: Scene, topic: str) -> dict[str, bytes | None]:
    """The traceparent of every record on an output topic, by the id of its event or the place of its source."""
    found = {}
    for record in kafka_tools.read_to_end(scene.workplace.settings.kafka, topic):
        headers = dict(record.headers)
        place = (headers.get(f"sentiment-{name}", b"") for name in ("topic", "partition", "offset"))
        found[(headers.get("ce_id") or b"-".join(place)).decode()] = headers.get("traceparent")
    return found


def wait_for_spans(receiver: OtlpReceiver, name: str, count: int) -> list[ReceivedSpan]:
    """Every span, once `count` of this name have come."""
    deadline = time.monotonic() + END_TIMEOUT_S
    while len(named(spans := receiver.spans(), name)) < count:
        assert time.monotonic() < deadline, [span.name for span in spans]
        time.sleep(POLL_S)
    return spans


def named(spans: list[ReceivedSpan], start: str) -> list[ReceivedSpan]:
    return [span for span in spans if span.name.startswith(start)]


@pytest.mark.slow
def test_a_trace_goes_on_from_a_record_to_its_event_through_a_crash_and_a_receiver_that_goes_away(
    make_scene: Callable[..., Scene], receiver: OtlpReceiver
) -> None:
    scene = make_scene(traces="otlp")
    settings = scene.workplace.settings
    events_span = f"create {settings.events_topic}"
    # The first worker is killed between what it has published and the commit: all of it is read again.
    crashing = scene.worker(crash_at="produced")
    crashing.launch()
    inputs = [with_context(number, one, "01" if number % 2 else "00") for number, one in enumerate(tweets(20), start=1)]
    bad = with_context(99, Input("stream-1", None, now_ms(), value=b"{", reason=Reason.INVALID_JSON))
    malformed = replace(next(tweets(1, seed=2)), headers=(("traceparent", b"00-nonsense"), ("tracestate", b"\xff")))
    sent = scene.send([*inputs, bad, malformed])
    crashing.wait_for_end()
    worker = scene.start_worker(instance_id="worker-1")
    scene.wait_until_done()

    received = wait_for_spans(receiver, events_span, 11)
    spans = [span for span in received if span.resource["service.instance.id"] == "worker-1"]
    made = {f"{span.trace_id}-{span.span_id}": span for span in named(spans, events_span)}
    published = traceparents(scene, settings.events_topic)
    for number, one in enumerate(sent[:20], start=1):
        version, trace_id, span_id, flags = (published[one.id] or b"").decode().split("-")
        assert (version, trace_id) == ("00", f"{number:032x}")
        if number % 2:
            span = made[f"{trace_id}-{span_id}"]
            assert (flags, span.parent, span.attributes["messaging.message.id"]) == ("01", f"{number:016x}", one.id)
        else:
            assert (flags, span_id) == ("00", f"{number:016x}"), "a trace that is not sampled goes on as it came"
    assert published[sent[21].id] is None
    assert traceparents(scene, settings.deadletters_topic) == {sent[20].id: bad.headers[0][1]}

    roots = named(spans, "process")
    links = {link for root in roots for link in root.links}
    assert {f"{number:032x}" for number in range(1, 20, 2)} <= links
    assert {span.resource["service.name"] for span in spans} == {"sentiment-worker"}
    for root in roots:
        names = {span.name for span in spans if span.parent == root.span_id}
        assert {"decode", "load", "score", "commit", f"poll {settings.topics[0]}"} <= names
        assert any(name.startswith("send") for name in names)

    receiver.kill()
    scene.send(with_context(number, one) for number, one in enumerate(tweets(50, seed=3), start=1000))
    scene.wait_until_done()
    worker.wait_for_metric("spans_dropped_total", 1, reason="export_failed")
    receiver.start()
    scene.send(with_context(number, one) for number, one in enumerate(tweets(5, seed=4), start=2000))
    report = scene.finish()
    assert report.exact, report
    assert worker.output().count("spans are dropped") == 1
    last = {f"{number:032x}" for number in range(2000, 2005)}
    assert last <= {span.trace_id for span in receiver.spans()}, "what is left at the end is exported"
