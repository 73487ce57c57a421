"""Text in the bytes of a record: UTF-8, as it should be, and what producers send in its place.

A byte that is no UTF-8 becomes a surrogate from U+DC80 on (PEP 383), so that it costs only the text that it is in.
"""

from __future__ import annotations

import codecs
from typing import Final

from worker.errors import Reason, RecordError

_MARKS: Final = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_BEGINS: Final = {
    **dict.fromkeys((b"{\0\0\0", b"[\0\0\0"), "utf-32-le"),
    # Seven bytes, as the id in a frame may end in a bracket.
    **dict.fromkeys((b"\0\0\0{\0\0\0", b"\0\0\0[\0\0\0"), "utf-32-be"),
    **dict.fromkeys((b"{\0", b"[\0"), "utf-16-le"),
    **dict.fromkeys((b"\0{", b"\0["), "utf-16-be"),
}
_FIRST_BYTES: Final = (b"{", b"[", b"\0")


def decode_utf8(data: bytes, name: str) -> str:
    """The text of `data`, which is called `name` in the message. Raises RecordError: INVALID_UTF8."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise RecordError(Reason.INVALID_UTF8, f"byte {error.start} of the {name} is not UTF-8") from None


def encoding_without_mark(data: bytes) -> str | None:
    """The encoding of JSON in UTF-16 or UTF-32 that has no byte order mark; None for anything else."""
    if data[:1] not in _FIRST_BYTES or b"\0" not in data[:2]:
        return None
    return next((encoding for begin, encoding in _BEGINS.items() if data.startswith(begin)), None)


def decode_text(data: bytes) -> str:
    """The text of `data`, with a surrogate for each byte that `require_text` would refuse."""
    text = _decode(data)
    return data.decode(errors="surrogateescape") if text is None else text


def require_text(data: bytes) -> str:
    """The text of `data` in UTF-8, UTF-16, UTF-32 or CESU-8. Raises RecordError: INVALID_UTF8 for anything else."""
    text = _decode(data)
    return decode_utf8(data, "value") if text is None else text


def _marked(data: bytes) -> str | None:
    """The encoding of which the data has the byte order mark, with something behind it."""
    return next((name for mark, name in _MARKS.items() if data.startswith(mark) and len(data) > len(mark)), None)


def _decode(data: bytes) -> str | None:
    encoding = encoding_without_mark(data) or _marked(data)
    try:
        return data.decode(encoding or "utf-8")
    except UnicodeDecodeError:
        pass
    try:
        if encoding is not None:
            return data.decode(encoding, "surrogatepass")
        # As Java and MySQL write what is not in Unicode's first plane: each half of a character by itself (CESU-8).
        halves = data.decode(errors="surrogatepass")
    except UnicodeDecodeError:
        return None
    return halves.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def printable(text: str) -> str:
    """The text on one line, with escapes for what would do something to a terminal or cannot be encoded."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
