"""JSON, strictly if possible, and otherwise as producers really write it."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from worker.errors import Reason, RecordError
from worker.records.formats.frame import body_of
from worker.records.formats.nesting import prune_nested
from worker.records.unicode import decode_text, require_text

JSON_BEGINS: Final = ("{", "[")
_AROUND: Final = " \t\r\n\ufeff\0"  # NUL: producers in C send the end of their string along
_MAX_DIGITS: Final = 1024

_strict = msgspec.json.Decoder()


def decode_json(value: bytes) -> Any:
    """The payload. Taken as well: UTF-16, byte order marks, a Confluent frame, NaN and Infinity, lone surrogates,
    control characters in strings, NULs at the end, JSON within a JSON string, and any nesting, whose inner values are
    null beyond MAX_DEPTH. Bytes in strings that are not UTF-8 become surrogates (PEP 383).

    Raises RecordError: INVALID_UTF8, INVALID_JSON.
    """
    try:
        payload = _strict.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        payload = _decode_leniently(value)
    if isinstance(payload, str) and payload.lstrip(_AROUND).startswith(JSON_BEGINS):
        return _parse(payload.strip(_AROUND))
    return payload


def _decode_leniently(value: bytes) -> Any:
    body = body_of(value)
    text = decode_text(body).strip(_AROUND)
    if not text:
        raise RecordError(Reason.INVALID_JSON, "the value is empty")
    try:
        return _parse(text)
    except RecordError:
        require_text(body)
        raise


def _parse(text: str) -> Any:
    try:
        try:
            return _lenient.decode(text)
        except RecursionError:
            return _lenient.decode(prune_nested(text))
    except json.JSONDecodeError as error:
        hint = "" if text.startswith(JSON_BEGINS) else "; for plain texts, set the topic's format to text"
        raise RecordError(Reason.INVALID_JSON, f"{error}{hint}") from None


def _parse_int(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)


_lenient = json.JSONDecoder(strict=False, parse_int=_parse_int)
