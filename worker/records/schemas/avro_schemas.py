"""The Avro schemas of events and shifts, from the same types as the JSON Schemas."""

from __future__ import annotations

import inspect
import json
from typing import Any

import msgspec
from msgspec import UNSET
from msgspec import inspect as types

NAMESPACE = "sentiment"
_SCALARS: dict[type[types.Type], str] = {
    types.StrType: "string",
    types.FloatType: "double",
    types.IntType: "long",
    types.BoolType: "boolean",
    types.EnumType: "string",
}


def make_avro_schema(kind: type[msgspec.Struct]) -> str:
    """The schema of `kind` as JSON text. Enumerations are strings, so that a new member stays compatible."""
    return json.dumps(_record(types.type_info(kind), set()), indent=2)


def _record(info: Any, seen: set[str]) -> Any:
    name = info.cls.__name__
    if name in seen:
        return f"{NAMESPACE}.{name}"
    seen.add(name)
    fields = [_field(field, seen) for field in info.fields]
    return {
        "type": "record",
        "name": name,
        "namespace": NAMESPACE,
        "doc": inspect.cleandoc(info.cls.__doc__ or ""),
        "fields": fields,
    }


def _field(field: types.Field, seen: set[str]) -> dict[str, Any]:
    made = {"name": field.encode_name, "type": _type(field.type, seen)}
    if field.default is not msgspec.NODEFAULT and field.default is not UNSET:
        made["default"] = list(field.default) if isinstance(field.default, tuple) else field.default
    elif isinstance(made["type"], list):
        made["default"] = None
    return made


def _type(info: types.Type, seen: set[str]) -> Any:
    if isinstance(info, types.StructType):
        return _record(info, seen)
    if isinstance(info, types.ListType | types.VarTupleType):
        return {"type": "array", "items": _type(info.item_type, seen)}
    if isinstance(info, types.UnionType):
        (inner,) = (one for one in info.types if not isinstance(one, types.NoneType))
        return ["null", _type(inner, seen)]
    return _SCALARS[type(info)]
