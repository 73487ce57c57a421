"""What the registry is asked for, when it does not answer, and settings with which it cannot be asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.servers.fake_registry import FakeRegistry
from tests.unit.records.registered.reviews import AUTHOR, AVRO, avro_value, decode, reason
from worker.errors import DependencyError, Reason, RecordError, SettingsError
from worker.records.codec import Codec
from worker.records.formats.frame import frame
from worker.settings import load_settings


def test_a_schema_is_fetched_once_before_its_records_are_decoded(
    registry: FakeRegistry, make_codec: Callable[[str], Codec]
) -> None:
    registry.add(1, "AVRO", json.dumps(AUTHOR), subject="author")
    registry.add(2, "AVRO", json.dumps(AVRO), references=[("common.Author", "author")])
    codec = make_codec("avro")
    values = [avro_value(2), avro_value(2, body="fine"), None, b"{}", avro_value(7)]
    assert codec.missing_schemas("t", values) == {2, 7}
    codec.fetch_schemas({2, 7})
    assert codec.missing_schemas("t", values) == {7}
    asked = list(registry.asked)
    assert [decode(codec, value).text for value in (avro_value(2), avro_value(2, body="fine"))] == ["love it", "fine"]
    assert reason(codec, avro_value(7)) == Reason.UNKNOWN_SCHEMA
    assert registry.asked == asked, "decoding asks nobody"


def test_a_registry_that_is_away_is_named_and_is_no_dead_letter(make_codec: Callable[[str], Codec]) -> None:
    codec = Codec(
        load_settings(topics=("t",), payloads={"t": "avro"}, registry="http://127.0.0.1:9/apis", request_timeout_s=0.5)
    )
    for ask in (lambda: codec.fetch_schemas({1}), lambda: decode(codec, frame(1))):
        with pytest.raises(
            DependencyError, match=r"the schema registry at http://127.0.0.1:9/apis: it does not answer"
        ):
            ask()


def test_a_registry_that_fails_for_a_moment_is_asked_again(
    registry: FakeRegistry, make_codec: Callable[[str], Codec]
) -> None:
    registry.add(1, "AVRO", '{"type": "record", "name": "A", "fields": [{"name": "body", "type": "string"}]}')
    registry.answers_before = [503, 429]
    codec = make_codec("avro")
    codec.fetch_schemas({1})
    with pytest.raises(RecordError, match="no stream"):
        decode(codec, frame(1) + b"\x04ok")


@pytest.mark.parametrize(
    ("status", "match"), [(401, "it refuses"), (404, "it refuses"), (200, "is none of a registry")]
)
def test_an_answer_that_is_no_schema_ends_at_once(
    registry: FakeRegistry, make_codec: Callable[[str], Codec], status: int, match: str
) -> None:
    registry.answers_before = [status]
    with pytest.raises(DependencyError, match=match):
        make_codec("avro").fetch_schemas({1})
    assert len(registry.asked) == 1


@pytest.mark.parametrize(
    ("flags", "match"),
    [
        ({"payloads": {"tweets": "avro"}}, "format avro needs registry"),
        ({"output_format": "protobuf"}, "output_format protobuf needs registry"),
        ({"registry": "nonsense"}, "URL"),
        ({"registry_username": "alice"}, "registry_username and registry_password need each other"),
        ({"registry_ca_file": "/nowhere.pem"}, "registry_ca_file"),
        ({"output_format": "xml"}, "output_format"),
        ({"payloads": {"tweets": {"format": "thrift"}}}, "payloads"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_start(flags: dict[str, Any], match: str) -> None:
    with pytest.raises(SettingsError, match=match):
        load_settings(**flags)


def test_a_missing_extra_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.servers.fields.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"fastavro.*pip install '\.\[registry\]'"):
        load_settings(payloads={"tweets": "avro"}, registry="http://localhost:8081")
