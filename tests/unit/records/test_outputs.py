"""Events and shifts in each output format: registered, written behind the frame, and read back as themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tests.factories import new_event, new_shift
from tests.servers.fake_registry import FakeRegistry
from worker.errors import DependencyError
from worker.records.codec import encode
from worker.records.headers import EventHeaders
from worker.records.outputs import OutputEncoder, output_reader
from worker.records.types import EventState, Fallback, SentimentEvent, ShiftEvent
from worker.settings import Settings, load_settings

EVENTS = (
    new_event(),
    new_event(state=EventState(1, "expired"), words=[], stream="caf\u00e9 \U0001f600"),
    new_event(fallbacks=(Fallback.TIME_ABSURD, Fallback.ID_IGNORED), final=False),
    new_shift(),
)
KINDS = {"avro": "AVRO", "protobuf": "PROTOBUF", "json-schema": "JSON"}


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as server:
        yield server


def settings_of(registry: FakeRegistry, output_format: str) -> Settings:
    return load_settings(registry=registry.url, output_format=output_format, request_timeout_s=1)


@pytest.mark.parametrize("output_format", KINDS)
@pytest.mark.parametrize("event", EVENTS)
def test_an_event_is_read_back_as_itself(
    registry: FakeRegistry, output_format: str, event: SentimentEvent | ShiftEvent
) -> None:
    settings = settings_of(registry, output_format)
    encoder = OutputEncoder(settings)
    encoder.register()
    value = encoder.encode(event)
    schema_id = 1 if isinstance(event, SentimentEvent) else 2
    assert value[:5] == bytes([0, 0, 0, 0, schema_id])
    assert registry.kind_of(schema_id) == KINDS[output_format]
    read = output_reader(settings, type(event))
    assert msgspec.json.decode(read(value), type=type(event)) == event
    assert read(value) == encode(event)


def test_schemas_are_registered_once_under_the_names_of_the_topics(registry: FakeRegistry) -> None:
    encoder = OutputEncoder(settings_of(registry, "avro"))
    encoder.register()
    posts = [path.partition("?")[0] for path in registry.asked if path.startswith("/subjects/")]
    assert posts == ["/subjects/sentiment.events-value/versions", "/subjects/sentiment.shifts-value/versions"]
    num_asked = len(registry.asked)
    for event in EVENTS:
        encoder.encode(event)
    assert len(registry.asked) == num_asked


def test_json_asks_no_registry_and_is_as_it_was() -> None:
    encoder = OutputEncoder(load_settings())
    encoder.register()
    for event in EVENTS:
        assert encoder.encode(event) == encode(event)


def test_a_schema_that_is_incompatible_with_the_subjects_is_refused_at_start(registry: FakeRegistry) -> None:
    registry.add(1, "AVRO", '"string"', subject="sentiment.events-value")
    registry.is_compatible = False
    with pytest.raises(DependencyError, match=r"not compatible with those of sentiment\.events-value"):
        OutputEncoder(settings_of(registry, "avro")).register()


@pytest.mark.parametrize(
    ("output_format", "content_type"),
    [("json", b"application/json"), ("avro", b"application/avro"), ("protobuf", b"application/protobuf")],
)
def test_the_content_type_says_the_format(registry: FakeRegistry, output_format: str, content_type: bytes) -> None:
    headers: dict[str, Any] = dict(EventHeaders(settings_of(registry, output_format)).of(new_event()))
    assert headers["content-type"] == content_type


def test_the_registered_json_schema_is_the_published_one(registry: FakeRegistry) -> None:
    OutputEncoder(settings_of(registry, "json-schema")).register()
    assert json.loads(registry.text_of(1))["title"] == "event"
