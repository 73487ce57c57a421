"""The AsyncAPI 3 document of a worker's topics, made from the types of their records and from the settings."""

from __future__ import annotations

import inspect
from typing import Any, Final

import msgspec

from worker.payloads.payload import Payload
from worker.records.comparison import ComparisonEvent
from worker.records.headers import WORKER_VERSION
from worker.records.outputs import CONTENT_TYPES
from worker.records.types import DeadLetterHeaders, InputRecord, SentimentEvent, ShiftEvent
from worker.settings import Settings

ASYNCAPI_VERSION: Final = "3.0.0"
_CLOUD_EVENT: Final = ("ce_specversion", "ce_type", "ce_source", "ce_id", "ce_time", "content-type")
_TRACE_CONTEXT: Final = ("traceparent", "tracestate")  # of those records that came with one
_TYPES: Final = (InputRecord, SentimentEvent, ShiftEvent, DeadLetterHeaders)


def make_asyncapi(settings: Settings) -> dict[str, Any]:
    """The document. Payloads are shown in their JSON form, whatever the output format.

    With the setting `shadow`, the topics of shadows are in it. An input topic whose payload is not the default one has
    a message without a schema.
    """
    types = (*_TYPES, *((ComparisonEvent,) if settings.shadow else ()))
    references, schemas = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    for schema in schemas.values():
        schema["description"] = inspect.cleandoc(schema.get("description", ""))
    input_, event, shift, letter, *comparison = references
    outputs = {
        settings.events_topic: _event("SentimentEvent", event, settings),
        settings.shifts_topic: _event("ShiftEvent", shift, settings),
        settings.deadletters_topic: _message("DeadLetter", "the input record; the headers say why", headers=letter),
    }
    if comparison:
        outputs[settings.shadow_topic] = _event("SentimentEvent", event, settings)
        summary = "the key is the fingerprint of the shadow's model"
        outputs[settings.comparisons_topic] = _message("ComparisonEvent", summary, payload=comparison[0])
    inputs = {topic: _input(settings, topic, input_) for topic in settings.topics}
    names = {topic: f"topic{number}" for number, topic in enumerate({**inputs, **outputs}, start=1)}
    return {
        "asyncapi": ASYNCAPI_VERSION,
        "info": {
            "title": "Streaming sentiment",
            "version": WORKER_VERSION,
            "description": "Reads texts, and publishes one event for each, exactly once.",
        },
        "defaultContentType": "application/json",
        "servers": {"kafka": {"host": settings.kafka.split(",")[0].strip(), "protocol": _protocol(settings)}},
        "channels": {
            names[topic]: {"address": topic, "messages": {message["name"]: message}}
            for topic, message in (inputs | outputs).items()
        },
        "operations": {
            f"{action}_{names[topic]}": {
                "action": action,
                "channel": {"$ref": f"#/channels/{names[topic]}"},
                "messages": [{"$ref": f"#/channels/{names[topic]}/messages/{message['name']}"}],
            }
            for action, messages in (("receive", inputs), ("send", outputs))
            for topic, message in messages.items()
        },
        "components": {"schemas": schemas},
    }


def _protocol(settings: Settings) -> str:
    return "kafka-secure" if settings.kafka_security.endswith("SSL") else "kafka"


def _input(settings: Settings, topic: str, schema: dict[str, Any]) -> dict[str, Any]:
    payload, fields = settings.payload_of(topic)
    if (payload, fields) == (Payload(), type(fields)()):
        return _message("InputRecord", "a text; the key is its stream", payload=schema)
    shown = payload.preset or payload.format
    return _message("InputRecord", f"a text in a payload of its own ({shown}); the key is its stream")


def _event(name: str, schema: dict[str, Any], settings: Settings) -> dict[str, Any]:
    names = (*_CLOUD_EVENT, *(_TRACE_CONTEXT if settings.traces != "off" else ()))
    headers = {"type": "object", "properties": {header: {"type": "string"} for header in names}}
    message = _message(name, "the key is the stream", payload=schema, headers=headers)
    message["contentType"] = CONTENT_TYPES[settings.output_format].decode()
    if settings.output_format != "json":
        message["bindings"] = {"kafka": {"schemaIdLocation": "payload", "schemaIdPayloadEncoding": "confluent"}}
    return message


def _message(name: str, summary: str, **schemas: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "summary": summary, **schemas}
