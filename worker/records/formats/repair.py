"""JSON that is none strictly, but as programs write it by hand: what can be read in one way only is put right.

values     nan, inf, undefined, None: null; True, False; +1, .5, 1.; 007, as a string
strings    'in single quotes', as Python shows them; \\' and \\x41; other escapes that JSON lacks are letters
names      {text: "..."} without quotes, as in JavaScript
calls      ObjectId("..."), NumberLong(5), as in the shell of MongoDB: their argument
besides    comments, commas before a closing bracket and at the end
"""

from __future__ import annotations

import math
import re
from typing import Final

_TOKEN = re.compile(
    r"""
    "(?:[^"\\]++|\\.)*+"? | '(?:[^'\\]++|\\.)*+'?
    | //[^\n]*+ | /\*(?:[^*]++|\*(?!/))*+(?:\*/)?
    | (?P<comma>,)(?=\s*+[}\]])
    | (?P<name>[A-Za-z_$][\w$]*+)(?=\s*+:) | (?P<call>[A-Za-z_$][\w$]*+\s*+\(|\)) | (?P<word>[A-Za-z_$][\w$]*+)
    | (?P<number>[+\-.\d][\w.+\-\#]*+(?:\(\w*\))?)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"""\\(?:x([0-9A-Fa-f]{2})|(u[0-9A-Fa-f]{4}|["\\/bfnrt])|(.))|(")""", re.DOTALL)
_BEGINS = re.compile(r"[\[\s]*+\{")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?")
_WORDS: Final = {
    **{word: word for word in ("true", "false", "null", "NaN", "Infinity")},
    **{"True": "true", "False": "false"},
}


def repair_json(text: str) -> str:
    """The text with what is listed above put right; one that does not begin with an object stays as it is."""
    return _TOKEN.sub(_repaired, text.rstrip(", \t\r\n")) if _BEGINS.match(text) else text


def _repaired(token: re.Match[str]) -> str:
    written = token[0]
    match token.lastgroup:
        case "comma" | "call":
            return ""
        case "name":
            return f'"{written}"'
        case "word":
            return _WORDS.get(written, "null")
        case "number":
            return written if written == "-Infinity" else _number(written)
        case _:
            return "" if written[0] == "/" else _string(written)


def _string(written: str) -> str:
    is_whole = len(written) > 1 and written[-1] == written[0]
    return f'"{_ESCAPE.sub(_escape, written[1:-1])}"' if is_whole else written


def _number(written: str) -> str:
    if _NUMBER.fullmatch(written):
        return written
    if written.isdecimal():
        return f'"{written}"'  # leading zeros: of a post code, or of an id
    try:
        number = float(written)
    except ValueError:
        return "null"
    if not math.isfinite(number):
        return "null"
    return str(int(number)) if written.lstrip("+").isdecimal() else repr(number)


def _escape(found: re.Match[str]) -> str:
    byte, known, other, quote = found.groups()
    if byte is not None:
        return f"\\u00{byte}"
    if known is not None:
        return f"\\{known}"
    if quote is not None:
        return '\\"'
    return "'" if other == "'" else f"\\\\{other}"
