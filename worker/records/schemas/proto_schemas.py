"""The Protobuf files of events and shifts, from the same types as the JSON Schemas.

A field's number is its place in its type: a new field goes to the end of the type, and none is ever removed.
"""

from __future__ import annotations

import inspect
from typing import Any

import msgspec
from msgspec import inspect as types

PACKAGE = "sentiment"
_SCALARS: dict[type[types.Type], str] = {
    types.StrType: "string",
    types.FloatType: "double",
    types.IntType: "int64",
    types.BoolType: "bool",
    types.EnumType: "string",
}


def make_proto_schema(kind: type[msgspec.Struct]) -> str:
    """The .proto file whose first message is `kind`. Enumerations are strings: a new member stays compatible."""
    messages: dict[str, str] = {}
    _add_message(types.type_info(kind), messages)
    bodies = [messages.pop(kind.__name__), *messages.values()]
    return f'syntax = "proto3";\npackage {PACKAGE};\n\n' + "\n".join(bodies)


def _add_message(info: Any, messages: dict[str, str]) -> str:
    name: str = info.cls.__name__
    if name not in messages:
        messages[name] = ""
        comment = "".join(f"// {line}".rstrip() + "\n" for line in inspect.cleandoc(info.cls.__doc__).splitlines())
        fields = [
            f"  {_type(field.type, messages)} {field.encode_name} = {number};\n"
            for number, field in enumerate(info.fields, start=1)
        ]
        messages[name] = f"{comment}message {name} {{\n{''.join(fields)}}}\n"
    return name


def _type(info: types.Type, messages: dict[str, str]) -> str:
    if isinstance(info, types.StructType):
        return _add_message(info, messages)
    if isinstance(info, types.ListType | types.VarTupleType):
        return f"repeated {_type(info.item_type, messages)}"
    if isinstance(info, types.UnionType):
        (inner,) = (one for one in info.types if not isinstance(one, types.NoneType))
        return f"optional {_type(inner, messages)}"
    return _SCALARS[type(info)]
