"""Avro behind Confluent's frame, read by the schema that it was written with (extra `registry`)."""

from __future__ import annotations

import io
from typing import Any

from worker.errors import Reason, RecordError
from worker.records.formats.avro_schema import AvroSchema, parse
from worker.records.formats.frame import schema_id_of, unframe
from worker.records.registry import Registry


class AvroDecoder:
    """Decodes values of one topic. Bytes become text, dates become ISO 8601, other logical types stay numbers."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._parsed: dict[int, AvroSchema] = {}

    def __call__(self, value: bytes) -> Any:
        """The payload. Raises RecordError: UNKNOWN_SCHEMA, SCHEMA_MISMATCH; DependencyError as `Registry.schema`."""
        schema_id = schema_id_of(value)
        if schema_id not in self._parsed:
            self._parsed[schema_id] = parse(self._registry.schema(schema_id))
        body = io.BytesIO(unframe(value))
        try:
            payload = _plain(_read(body, self._parsed[schema_id]))
        except Exception as error:  # what fastavro raises for bytes of another schema is of any kind
            message = f"the value does not fit Avro schema {schema_id} ({type(error).__name__}: {error})"
            raise RecordError(Reason.SCHEMA_MISMATCH, message) from None
        if body.read(1):
            raise RecordError(Reason.SCHEMA_MISMATCH, f"the value goes on behind a record of Avro schema {schema_id}")
        return payload


def _read(body: io.BytesIO, schema: AvroSchema) -> Any:
    # Its compiled reader follows any depth of values until the stack ends, and with it the process.
    from fastavro import _read_py, schemaless_reader  # noqa: PLC0415 - the extra `registry`

    reader = _read_py.schemaless_reader if schema.is_recursive else schemaless_reader
    return reader(body, schema.parsed, None)


def _plain(value: Any) -> Any:
    """What JSON can hold."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value.isoformat() if hasattr(value, "isoformat") else value
