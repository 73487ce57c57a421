"""Avro schemas as the registry has them, and what they let a value do to its reader."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from worker.errors import Reason, RecordError
from worker.records.registry import RegisteredSchema


class AvroSchema(NamedTuple):
    """A parsed schema. is_recursive: whether a type of it contains itself, so that a value may have any depth."""

    parsed: Any
    is_recursive: bool


def parse(schema: RegisteredSchema) -> AvroSchema:
    """The schema, parsed. Raises RecordError: SCHEMA_MISMATCH, also where a few bytes could stand for any number of
    values: an array whose items take no bytes.
    """
    import fastavro  # noqa: PLC0415 - the extra `registry`

    if schema.kind != "AVRO":
        raise RecordError(Reason.SCHEMA_MISMATCH, f"schema {schema.id} is of kind {schema.kind}, not AVRO")
    named: dict[str, Any] = {}
    try:
        for _, text in schema.references:
            fastavro.parse_schema(_without_logical_types(json.loads(text)), named)
        parsed = fastavro.parse_schema(_without_logical_types(json.loads(schema.text)), named)
        whole = [parsed, *named.values()]
        has_empty_items = any(_is_empty(items, named) for items in _items_of_arrays(whole))
        found = AvroSchema(parsed, any(_contains(of, name, named) for name, of in named.items()))
    except Exception as error:  # fastavro has no base of its errors
        message = f"schema {schema.id} is no Avro schema ({type(error).__name__}: {error})"
        raise RecordError(Reason.SCHEMA_MISMATCH, message) from None
    if has_empty_items:
        raise RecordError(Reason.SCHEMA_MISMATCH, f"schema {schema.id} has an array whose items take no bytes")
    return found


def _without_logical_types(schema: Any) -> Any:
    """Only dates keep theirs: their numbers would be taken for seconds."""
    if isinstance(schema, dict):
        kept = {name: _without_logical_types(inner) for name, inner in schema.items() if name != "default"}
        if kept.get("logicalType") != "date":
            kept.pop("logicalType", None)
        return kept
    return [_without_logical_types(inner) for inner in schema] if isinstance(schema, list) else schema


def _inner(schema: Any) -> Iterator[Any]:
    """The schemas within a parsed one."""
    if isinstance(schema, list):
        yield from schema
    elif isinstance(schema, dict):
        yield from (field["type"] for field in schema.get("fields", ()))
        yield from (schema[name] for name in ("items", "values", "type") if name in schema)


def _items_of_arrays(schema: Any) -> Iterator[Any]:
    if isinstance(schema, dict) and schema.get("type") == "array":
        yield schema["items"]
    for inner in _inner(schema):
        yield from _items_of_arrays(inner)


def _is_empty(schema: Any, named: Mapping[str, Any], within: frozenset[str] = frozenset()) -> bool:
    """Whether a value of the schema may take no bytes."""
    if isinstance(schema, str):
        known = schema in named and schema not in within
        return _is_empty(named[schema], named, within | {schema}) if known else schema in {"null", *within}
    if not isinstance(schema, dict):
        return False
    if "fields" in schema:
        return all(_is_empty(field["type"], named, within) for field in schema["fields"])
    return schema.get("size") == 0 or _is_empty(schema["type"], named, within)


def _contains(schema: Any, name: str, named: Mapping[str, Any]) -> bool:
    """Whether the type `name` is in the schema, at any depth."""
    waiting, seen = list(_inner(schema)), set()
    while waiting:
        found = waiting.pop()
        if found == name:
            return True
        if isinstance(found, str):
            if found in named and found not in seen:
                seen.add(found)
                waiting.append(named[found])
        else:
            waiting.extend(_inner(found))
    return False
