"""A real schema registry (Apicurio): Confluent's serializers in, a worker, and Confluent's deserializers out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from tests import kafka_tools
from tests.kafka_tools import Keyed
from tests.servers.apicurio import Apicurio
from tests.servers.registry_client import registry_client
from tests.system.scene import Scene
from worker.errors import EXIT_DEPENDENCY, DependencyError
from worker.records.headers import read_deadletter_headers
from worker.records.outputs import OutputEncoder
from worker.records.proto_compiler import compile_proto, message_class
from worker.records.schemas import make_schema
from worker.records.schemas.avro_schemas import make_avro_schema
from worker.records.schemas.proto_schemas import make_proto_schema
from worker.records.types import SentimentEvent
from worker.settings import load_settings

AVRO = {"type": "record", "name": "Tweet", "fields": [{"name": "text", "type": "string"}]}
PROTO = 'syntax = "proto3"; message Tweet { string text = 1; }'
JSON = {"title": "Tweet", "type": "object", "properties": {"text": {"type": "string"}}}
OUTPUT_OF = {"avro": "protobuf", "protobuf": "json-schema", "confluent-json": "avro"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apicurio]:
    with Apicurio(tmp_path_factory.mktemp("apicurio")) as server:
        yield server


@pytest.fixture
def apicurio(server: Apicurio) -> Apicurio:
    server.ensure_answers()
    return server


def serialize(format_: str, client: Any, topic: str, text: str) -> bytes:
    """As a producer with Confluent's serializer writes it."""
    context = SerializationContext(topic, MessageField.VALUE)
    if format_ == "avro":
        written = AvroSerializer(client, json.dumps(AVRO))({"text": text}, context)
    elif format_ == "protobuf":
        tweet = message_class(compile_proto(PROTO, {}), [0])
        written = ProtobufSerializer(tweet, client, {"use.deprecated.format": False})(tweet(text=text), context)
    else:
        written = JSONSerializer(json.dumps(JSON), client)({"text": text}, context)
    assert written is not None
    return bytes(written)


def deserialize(output_format: str, client: Any, topic: str, value: bytes) -> str:
    """The id of an event, as a consumer with Confluent's deserializer reads it."""
    context = SerializationContext(topic, MessageField.VALUE)
    if output_format == "avro":
        return str(AvroDeserializer(client, make_avro_schema(SentimentEvent))(value, context)["id"])
    if output_format == "protobuf":
        event = message_class(compile_proto(make_proto_schema(SentimentEvent), {}), [0])
        assert client.get_schema(int.from_bytes(value[1:5], "big")).schema_type == "PROTOBUF"
        # Not Confluent's ProtobufDeserializer: Apicurio answers its `format=serialized` with bytes that are no base64.
        return str(event.FromString(value[6:]).id)
    return str(JSONDeserializer(json.dumps(make_schema("event")), schema_registry_client=client)(value, context)["id"])


@pytest.mark.parametrize("format_", OUTPUT_OF)
def test_a_worker_reads_and_writes_what_confluents_clients_write_and_read(
    format_: str, apicurio: Apicurio, make_scene: Callable[..., Scene]
) -> None:
    output_format = OUTPUT_OF[format_]
    flags = {"registry": apicurio.url, "output_format": output_format}
    scene = make_scene(partitions=1, **flags)
    settings, topic = scene.workplace.settings, scene.workplace.topic
    client = registry_client(apicurio.url)
    values = [serialize(format_, client, topic, text) for text in ("great flight", "terrible delay")]
    kafka_tools.produce(settings.kafka, topic, [Keyed(b"@acme", value) for value in [*values, b"\0\0\0\x7f\x7f{"]])
    worker = scene.launch_worker("--until-end", payloads=f"{topic}={format_}")
    assert worker.wait_for_end() == 0, worker.tail()
    events = kafka_tools.read_to_end(settings.kafka, settings.events_topic)
    ids = [deserialize(output_format, client, settings.events_topic, event.value) for event in events]
    assert ids == [f"{topic}-0-0", f"{topic}-0-1"]
    (letter,) = kafka_tools.read_to_end(settings.kafka, settings.deadletters_topic)
    headers = read_deadletter_headers(letter.headers)
    assert headers is not None
    assert headers.reason == ("invalid_json" if format_ == "confluent-json" else "unknown_schema")


@pytest.mark.parametrize("output_format", ["avro", "protobuf", "json-schema"])
def test_a_subject_with_a_compatibility_level_takes_our_schema_again_and_refuses_to_follow_another(
    output_format: str, apicurio: Apicurio
) -> None:
    client = registry_client(apicurio.url)
    topics = {name: f"{output_format}.{name}" for name in ("events", "shifts", "taken")}
    other = {"events_topic": topics["taken"], "shifts_topic": topics["shifts"]}
    ours = {"events_topic": topics["events"], "shifts_topic": topics["shifts"]}

    def register(names: dict[str, str]) -> None:
        OutputEncoder(load_settings(registry=apicurio.url, output_format=output_format, **names)).register()

    register(ours)
    client.set_compatibility(f"{topics['events']}-value", "FULL_TRANSITIVE")
    register(ours)
    assert client.get_versions(f"{topics['events']}-value") == [1]
    unlike = {
        "avro": Schema('{"type": "record", "name": "E", "fields": [{"name": "id", "type": "long"}]}', "AVRO"),
        "protobuf": Schema(
            'syntax = "proto3"; package sentiment; message SentimentEvent { int64 id = 1; }', "PROTOBUF"
        ),
        "json-schema": Schema('{"type": "object", "properties": {"id": {"type": "integer"}}}', "JSON"),
    }[output_format]
    client.register_schema(f"{topics['taken']}-value", unlike)
    client.set_compatibility(f"{topics['taken']}-value", "FULL_TRANSITIVE")
    with pytest.raises(DependencyError, match=r"not compatible with those of .*taken-value"):
        register(other)


def test_a_worker_without_its_registry_ends_with_its_name_and_no_dead_letter(
    apicurio: Apicurio, make_scene: Callable[..., Scene]
) -> None:
    away = "http://127.0.0.1:9/apis/ccompat/v7"
    scene = make_scene(partitions=1, registry=away, request_timeout_s=3)
    settings, topic = scene.workplace.settings, scene.workplace.topic
    value = serialize("avro", registry_client(apicurio.url), topic, "great flight")
    kafka_tools.produce(settings.kafka, topic, [Keyed(b"@acme", value)])
    worker = scene.launch_worker("--until-end", payloads=f"{topic}=avro")
    assert worker.wait_for_end() == EXIT_DEPENDENCY, worker.tail()
    assert f"the schema registry at {away}: it does not answer" in worker.tail()
    assert kafka_tools.read_to_end(settings.kafka, settings.deadletters_topic) == []
    assert kafka_tools.committed(settings.kafka, settings.group) == {}
