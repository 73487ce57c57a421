"""`sentiment payloads try`: what the worker would make of the records in a file, without a server."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from model import InferenceEngine
from worker.errors import Reason, RecordError
from worker.payloads.payload import REGISTERED_FORMATS, Format
from worker.records.codec import Codec, format_time
from worker.records.types import Fallback, InputText, Skipped
from worker.records.unicode import printable
from worker.settings import Settings

SHOWN_CHARACTERS = 60


class Preview(Struct, frozen=True, omit_defaults=True):
    """What becomes of one record. offset counts the file's records; reason and error are of a dead letter."""

    offset: int
    outcome: Literal["event", "dead_letter", "skipped"]
    stream: str | None = None
    record_id: str | None = None
    text: str | None = None
    time: str | None = None
    final: bool = True
    fallbacks: tuple[Fallback, ...] = ()
    reason: Reason | None = None
    error: str | None = None


class Previewer:
    """Previews values of one topic, each as if it had come with `key`, just now."""

    def __init__(self, settings: Settings, topic: str, key: bytes | None, engine: InferenceEngine) -> None:
        self._codec = Codec(settings)
        self._topic, self._key = topic, key
        self._engine = engine
        self._open: set[str] = set()  # streams whose text is not finished

    def preview(self, values: list[bytes]) -> Iterator[Preview]:
        """One preview for each value, in order."""
        for offset, value in enumerate(values):
            try:
                found = self._decode(value, offset)
            except RecordError as error:
                yield Preview(offset, "dead_letter", reason=error.reason, error=str(error))
                continue
            if isinstance(found, Skipped):
                yield Preview(offset, "skipped", error=found.rule)
            else:
                yield _event(offset, found)

    def _decode(self, value: bytes, offset: int) -> InputText | Skipped:
        """Raises RecordError."""
        found = self._codec.decode(self._topic, self._key, value, 0, offset, int(time.time() * 1000))
        if isinstance(found, InputText):
            if found.final and found.stream not in self._open and not self._engine.has_words(found.text):
                raise RecordError(Reason.EMPTY_TEXT, "nothing is left of the text after normalising")
            (self._open.discard if found.final else self._open.add)(found.stream)
        return found


def split_values(content: bytes, format_: Format) -> list[bytes]:
    """The records of a file: the whole of it if that is one JSON value or its format is binary, else its lines without
    the empty ones.
    """
    if format_ in REGISTERED_FORMATS:
        return [content]
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return [line for line in content.splitlines() if line.strip()]
    return [content.strip()]


def describe(preview: Preview) -> str:
    """The preview on one line, for people."""
    if preview.outcome == "dead_letter":
        return f"{preview.offset}  dead letter  {preview.reason}: {preview.error}"
    if preview.outcome == "skipped":
        return f"{preview.offset}  skipped      {preview.error}"
    text = preview.text or ""
    shown = text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"
    notes = "".join(f"  {one}" for one in preview.fallbacks) + ("" if preview.final else "  to be continued")
    names = "  ".join(printable(name or "") for name in (preview.stream, preview.record_id, preview.time))
    return f"{preview.offset}  event        {names}  {shown!r}{notes}"


def _event(offset: int, text: InputText) -> Preview:
    return Preview(
        offset,
        "event",
        stream=text.stream,
        record_id=text.record_id,
        text=text.text,
        time=format_time(text.time_ms),
        final=text.final,
        fallbacks=text.fallbacks,
    )
