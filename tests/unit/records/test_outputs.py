"""Events and shifts in each output format: registered, written behind the frame, and read back as themselves."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tests.factories.records import new_event, new_shift
from tests.servers.fake_registry import FakeRegistry
from worker.errors import DependencyError
from worker.records.codec import encode
from worker.records.headers import EventHeaders
from worker.records.outputs import OutputEncoder, output_reader
from worker.records.schemas import make_schema
from worker.records.schemas.avro_schemas import make_avro_schema
from worker.records.schemas.proto_schemas import make_proto_schema
from worker.records.types import EventLanguage, EventState, Fallback, SentimentEvent, ShiftEvent
from worker.settings import Settings, load_settings

EVENTS = (
    new_event(),
    new_event(state=EventState(1, "expired"), words=[], stream="caf\u00e9 \U0001f600"),
    new_event(fallbacks=(Fallback.TIME_ABSURD, Fallback.ID_IGNORED), final=False),
    new_event(language=EventLanguage("de", 0.75), known=1.0, understood=True),
    new_event(language=EventLanguage("und", 0.0), known=0.0, understood=False),
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


NEW_FIELDS = ("language", "known", "understood")  # of 1.0


def test_readers_of_the_avro_schema_before_and_after_the_new_fields_read_each_others_events() -> None:
    fastavro = pytest.importorskip("fastavro")
    new = json.loads(make_avro_schema(SentimentEvent))
    old = new | {"fields": [field for field in new["fields"] if field["name"] not in NEW_FIELDS]}
    new, old = fastavro.parse_schema(new), fastavro.parse_schema(old)
    event = msgspec.to_builtins(new_event(language=EventLanguage("de", 0.5), known=0.25, understood=False))
    for writer, reader in ((new, old), (old, new)):
        out = io.BytesIO()
        fastavro.schemaless_writer(out, writer, event)
        found = fastavro.schemaless_reader(io.BytesIO(out.getvalue()), writer, reader)
        assert found["score"] == event["score"]
        assert [found.get(name) for name in NEW_FIELDS] == [None] * 3


def test_the_new_fields_are_the_last_of_the_protobuf_message_and_not_required_in_the_json_schema() -> None:
    message = make_proto_schema(SentimentEvent).split("message SentimentEvent {")[1].split("}")[0]
    *_, language, known, understood = message.strip().splitlines()
    assert [language.split()[-3:], known.split()[-3:], understood.split()[-3:]] == [
        ["language", "=", "16;"],
        ["known", "=", "17;"],
        ["understood", "=", "18;"],
    ]
    schema = make_schema("event")["$defs"]["SentimentEvent"]
    assert not {*NEW_FIELDS} & {*schema["required"]}
    assert [schema["properties"][name]["default"] for name in NEW_FIELDS] == [None] * 3
