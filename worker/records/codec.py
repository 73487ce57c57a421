"""From a Kafka record's bytes to a valid text, and from an event to the bytes of its record.

What is accepted (schemas/input.json is the default payload; `Settings.fields` names other paths per topic):

stream   the field `stream`, else the record's key. Give both the same name: order holds within a partition, which Kafka
         picks by the key, and a tombstone (a null value) can only erase the stream that its key names.
id       text or a number; missing: topic-partition-offset, which is also the event's id.
time     RFC 3339 text with an offset, or a unix time: below 1e11 in seconds, else in milliseconds (1e11 seconds are the
         year 5138, 1e11 milliseconds are 1973). Missing: the record's timestamp.
final    missing: true.

Null and empty text count as missing, but for `text`, of which only the pipeline can tell whether a word is left.
Every decision is a pure function of what the log holds, so that a replay decides as the first reading did. Hence a time
is absurd when it is ahead of the *record's* timestamp, not of the clock on the wall; the record's timestamp itself is
kept near the present by the broker (`message.timestamp.after.max.ms`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from worker.errors import Reason, RecordError
from worker.records.types import MAX_NAME_CHARS, InputRecord, InputText, SentimentEvent, ShiftEvent
from worker.settings import FieldPaths, Settings

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
MIN_TIME_MS = (datetime(1990, 1, 1, tzinfo=UTC) - EPOCH) // MILLISECOND
MAX_TIME_MS = (datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC) - EPOCH) // MILLISECOND
SECONDS_BELOW = 1e11
MAX_UTF8_BYTES_PER_CHARACTER = 4

Path = tuple[str, ...]

_input_decoder = msgspec.json.Decoder(InputRecord)
_any_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


class Codec:
    """Decodes the records of every input topic by that topic's field paths."""

    def __init__(self, settings: Settings) -> None:
        self._max_text_bytes = settings.max_text_bytes
        self._max_skew_ms = int(settings.max_clock_skew_s * 1000)
        self._default_paths = _split_paths(FieldPaths())
        self._mapped_paths = {
            topic: _split_paths(paths) for topic, paths in settings.fields.items() if paths != FieldPaths()
        }

    def decode(  # noqa: PLR0913, PLR0917 - a record has that many parts
        self, topic: str, key: bytes | None, value: bytes, partition: int, offset: int, timestamp_ms: int
    ) -> InputText:
        """One record as a valid text. `timestamp_ms` is the record's own. A null value is for `decode_stream_key`.

        Raises RecordError: INVALID_UTF8, INVALID_JSON, WRONG_TYPE, NO_TEXT, TEXT_TOO_LONG, NO_STREAM, ABSURD_TIME.
        """
        try:
            body = value.decode()
        except UnicodeDecodeError as error:
            raise RecordError(Reason.INVALID_UTF8, f"byte {error.start} of the value is not UTF-8") from None
        record = self._decode_fields(topic, body)
        self._check_length(record.text)
        return InputText(
            record_id=_as_text(record.id) or f"{topic}-{partition}-{offset}",
            stream=_as_text(record.stream) or decode_stream_key(key),
            text=record.text,
            time_ms=self._time_ms(record.time, timestamp_ms),
            final=record.final is not False,
        )

    def _decode_fields(self, topic: str, body: str) -> InputRecord:
        """The typed decoder where it applies and succeeds; else field by field, which also finds out what is wrong."""
        paths = self._mapped_paths.get(topic)
        if paths is None:
            try:
                return _input_decoder.decode(body)
            except (msgspec.DecodeError, RecursionError):
                paths = self._default_paths
        try:
            fields = _read_fields(_any_decoder.decode(body), paths)
            return msgspec.convert(fields, InputRecord)
        except msgspec.ValidationError as error:
            raise RecordError(Reason.WRONG_TYPE, str(error).replace("`$.", "`")) from None
        except msgspec.DecodeError as error:
            raise RecordError(Reason.INVALID_JSON, str(error)) from None
        except RecursionError:
            raise RecordError(Reason.INVALID_JSON, "the value is nested too deep") from None

    def _check_length(self, text: str) -> None:
        if len(text) * MAX_UTF8_BYTES_PER_CHARACTER <= self._max_text_bytes:
            return
        num_bytes = len(text.encode())
        if num_bytes > self._max_text_bytes:
            message = f"the text has {num_bytes} bytes, more than max_text_bytes ({self._max_text_bytes})"
            raise RecordError(Reason.TEXT_TOO_LONG, message)

    def _time_ms(self, time: datetime | float | None, timestamp_ms: int) -> int:
        """The record's event time; a record whose own timestamp is absurd cannot bound it."""
        if time is None:
            time_ms, latest_ms = timestamp_ms, MAX_TIME_MS
        else:
            time_ms = _to_ms(time)
            latest_ms = timestamp_ms + self._max_skew_ms if timestamp_ms >= MIN_TIME_MS else MAX_TIME_MS
        if not MIN_TIME_MS <= time_ms <= min(latest_ms, MAX_TIME_MS):
            message = f"the time is {format_time(time_ms)}, the record's timestamp {format_time(timestamp_ms)}"
            raise RecordError(Reason.ABSURD_TIME, message)
        return time_ms


def decode_stream_key(key: bytes | None) -> str:
    """The stream that a record's key names. Raises RecordError: NO_STREAM, INVALID_UTF8."""
    if not key:
        raise RecordError(Reason.NO_STREAM, "the record has no key, and its value names no stream")
    if len(key) > MAX_NAME_CHARS * MAX_UTF8_BYTES_PER_CHARACTER:
        raise RecordError(Reason.NO_STREAM, f"a key of {len(key)} bytes is too long to name a stream")
    try:
        return key.decode()
    except UnicodeDecodeError as error:
        raise RecordError(Reason.INVALID_UTF8, f"byte {error.start} of the key is not UTF-8") from None


def encode(event: SentimentEvent | ShiftEvent) -> bytes:
    """The event as JSON in UTF-8."""
    return _encoder.encode(event)


def format_time(time_ms: int) -> str:
    """Milliseconds since 1970 as RFC 3339 in UTC; times outside the years 1 to 9999 become the nearest within."""
    seconds, milliseconds = divmod(min(max(time_ms, _MIN_FORMATTED_MS), MAX_TIME_MS), 1000)
    return f"{_format_seconds(seconds)}.{milliseconds:03d}Z"


def parse_time(text: str) -> int:
    """RFC 3339 as milliseconds since 1970. Raises ValueError."""
    return (datetime.fromisoformat(text) - EPOCH) // MILLISECOND


_MIN_FORMATTED_MS = (datetime.min.replace(tzinfo=UTC) - EPOCH) // MILLISECOND


@lru_cache(maxsize=4096)
def _format_seconds(seconds: int) -> str:
    """Consecutive records mostly share their second."""
    return (EPOCH + timedelta(seconds=seconds)).isoformat()[: len("1970-01-01T00:00:00")]


def _to_ms(time: datetime | float) -> int:
    if isinstance(time, datetime):
        return (time - EPOCH) // MILLISECOND
    return round(time * 1000 if abs(time) < SECONDS_BELOW else time)


def _as_text(name: str | float | None) -> str | None:
    return name if isinstance(name, str) or name is None else str(name)


def _split_paths(paths: FieldPaths) -> dict[str, Path]:
    return {field: tuple(path.split(".")) for field, path in paths.model_dump().items()}


def _read_fields(payload: Any, paths: dict[str, Path]) -> dict[str, Any]:
    """The fields that are there, by our names. Raises RecordError: WRONG_TYPE, NO_TEXT."""
    found = {field: _walk(payload, path) for field, path in paths.items()}
    if found["text"] is None:
        raise RecordError(Reason.NO_TEXT, f"there is nothing at {'.'.join(paths['text'])}")
    return found


def _walk(payload: Any, path: Path) -> Any:
    """What stands at `path`, None where nothing does. Raises RecordError: WRONG_TYPE."""
    here = payload
    for step in path:
        if isinstance(here, dict):
            here = here.get(step)
        elif isinstance(here, list) and step.isdecimal():
            here = here[int(step)] if int(step) < len(here) else None
        elif here is None and here is not payload:
            return None
        else:
            kind = "a list" if isinstance(here, list) else f"a {type(here).__name__}"
            raise RecordError(Reason.WRONG_TYPE, f"{'.'.join(path)}: {step!r} is looked up in {kind}")
    return here
