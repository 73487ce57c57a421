"""JSON, strictly if possible, and otherwise as producers really write it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, Final

import msgspec

from worker.errors import Reason, RecordError
from worker.records.formats.beginnings import describe_beginning
from worker.records.formats.frame import body_of
from worker.records.formats.nesting import prune_nested
from worker.records.formats.repair import repair_json
from worker.records.unicode import decode_text, require_text

JSON_BEGINS: Final = ("{", "[")
# NUL: producers in C send the end of their string along. RS: it begins each text of a sequence (RFC 7464).
_AROUND: Final = " \t\r\n\ufeff\0\x1e"
_MAX_DIGITS: Final = 1024

_strict = msgspec.json.Decoder()


def decode_json(value: bytes) -> Any:
    """The payload. Taken as well: UTF-16, byte order marks, a Confluent frame, NaN and Infinity, lone surrogates,
    control characters in strings, NULs at the end, JSON within a JSON string, what `repair_json` puts right, and any
    nesting, whose inner values are null beyond MAX_DEPTH. Bytes in strings that are not UTF-8 become surrogates (PEP
    383).

    Raises RecordError: INVALID_UTF8, INVALID_JSON.
    """
    try:
        payload = _strict.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            payload = _decode_leniently(value)
        except RecordError as error:
            raise RecordError(error.reason, f"{error}{describe_beginning(value)}") from None
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
        return _load(text)
    except json.JSONDecodeError as error:
        with suppress(json.JSONDecodeError):
            return _load(repair_json(text))
        is_plain = text[:1].isprintable() and not text.startswith((*JSON_BEGINS, "<"))
        hint = "; for plain texts, set the topic's format to text" if is_plain else ""
        raise RecordError(Reason.INVALID_JSON, f"{error}{hint}") from None


def _load(text: str) -> Any:
    try:
        return _lenient.decode(text)
    except RecursionError:
        return _lenient.decode(prune_nested(text))


def _parse_int(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)


_lenient = json.JSONDecoder(strict=False, parse_int=_parse_int)
