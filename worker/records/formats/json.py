"""JSON, strictly if possible, and otherwise as producers really write it."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from worker.errors import Reason, RecordError
from worker.records.formats.frame import MAGIC, unframe
from worker.records.utf8 import decode_utf8

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
JSON_BEGINS: Final = (b"{", b"[")
_MAX_DIGITS: Final = 1024

_strict = msgspec.json.Decoder()


def decode_json(value: bytes) -> Any:
    """The payload. Taken as well: a byte order mark, a Confluent frame, NaN and Infinity, lone surrogates, control
    characters in strings, and bytes in strings that are not UTF-8, as surrogates (PEP 383).

    Raises RecordError: INVALID_UTF8, INVALID_JSON.
    """
    try:
        return _strict.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _decode_leniently(value)


def _decode_leniently(value: bytes) -> Any:
    body = (unframe(value) if value[:1] == MAGIC else value).removeprefix(BYTE_ORDER_MARK)
    try:
        return _lenient.decode(body.decode(errors="surrogateescape"))
    except json.JSONDecodeError as error:
        decode_utf8(body, "value")
        hint = "" if body.lstrip()[:1] in JSON_BEGINS else "; for plain texts, set the topic's format to text"
        raise RecordError(Reason.INVALID_JSON, f"{error}{hint}") from None
    except RecursionError:
        raise RecordError(Reason.INVALID_JSON, "the value is nested too deep") from None


def _parse_int(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)


_lenient = json.JSONDecoder(strict=False, parse_int=_parse_int)
