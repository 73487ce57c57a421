"""Avro behind Confluent's frame, read by the schema that it was written with (extra `registry`)."""

from __future__ import annotations

import io
import json
from typing import Any

from worker.errors import Reason, RecordError
from worker.records.formats.frame import schema_id_of, unframe
from worker.records.registry import RegisteredSchema, Registry


class AvroDecoder:
    """Decodes values of one topic. Bytes become text, dates become ISO 8601, other logical types stay numbers."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._parsed: dict[int, Any] = {}

    def __call__(self, value: bytes) -> Any:
        """The payload. Raises RecordError: UNKNOWN_SCHEMA, SCHEMA_MISMATCH; DependencyError as `Registry.schema`."""
        import fastavro  # noqa: PLC0415 - the extra `registry`

        schema_id = schema_id_of(value)
        if schema_id not in self._parsed:
            self._parsed[schema_id] = _parse(self._registry.schema(schema_id))
        body = io.BytesIO(unframe(value))
        try:
            payload = fastavro.schemaless_reader(body, self._parsed[schema_id], None)
        except Exception as error:  # what fastavro raises for bytes of another schema is of any kind
            message = f"the value does not fit Avro schema {schema_id} ({type(error).__name__}: {error})"
            raise RecordError(Reason.SCHEMA_MISMATCH, message) from None
        if body.read(1):
            raise RecordError(Reason.SCHEMA_MISMATCH, f"the value goes on behind a record of Avro schema {schema_id}")
        return _plain(payload)


def _parse(schema: RegisteredSchema) -> Any:
    import fastavro  # noqa: PLC0415 - the extra `registry`

    if schema.kind != "AVRO":
        raise RecordError(Reason.SCHEMA_MISMATCH, f"schema {schema.id} is of kind {schema.kind}, not AVRO")
    named: dict[str, Any] = {}
    try:
        for _, text in schema.references:
            fastavro.parse_schema(_without_logical_types(json.loads(text)), named)
        return fastavro.parse_schema(_without_logical_types(json.loads(schema.text)), named)
    except Exception as error:  # fastavro has no base of its errors
        message = f"schema {schema.id} is no Avro schema ({type(error).__name__}: {error})"
        raise RecordError(Reason.SCHEMA_MISMATCH, message) from None


def _without_logical_types(schema: Any) -> Any:
    """Only dates keep theirs: their numbers would be taken for seconds."""
    if isinstance(schema, dict):
        kept = {name: _without_logical_types(inner) for name, inner in schema.items() if name != "default"}
        if kept.get("logicalType") != "date":
            kept.pop("logicalType", None)
        return kept
    return [_without_logical_types(inner) for inner in schema] if isinstance(schema, list) else schema


def _plain(value: Any) -> Any:
    """What JSON can hold."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value.isoformat() if hasattr(value, "isoformat") else value
