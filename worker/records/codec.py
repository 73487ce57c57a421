"""Decodes a Kafka record into a valid text, and encodes an event into the value of its record.

Accepted fields (schemas/input.json describes the default payload; `Settings.fields` sets other paths for a topic):

stream   Default: the record's key. Field and key should have the same name: Kafka picks the partition by the key and
         keeps order within a partition only, and a tombstone (a null value) erases the stream that its key names.
id       A string or a number. Default: topic-partition-offset, which is also the event's id.
time     An RFC 3339 string with a UTC offset, or a Unix time: in seconds below 1e11, otherwise in milliseconds (1e11
         seconds is the year 5138, 1e11 milliseconds is 1973). Default: the record's timestamp.
final    Default: true.

Null counts as missing, as does an empty id or stream. An empty `text` passes the codec, because only the pipeline knows
whether a text has any words. Every decision depends on the log alone, so that a replay decides as the first run did. A
time is therefore absurd when it is too far ahead of the *record's* timestamp, not of the wall clock; the broker keeps
the record's timestamp near the present (`message.timestamp.after.max.ms`).
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
    """Decodes the records of each input topic with that topic's field paths."""

    def __init__(self, settings: Settings) -> None:
        self._max_text_bytes = settings.max_text_bytes
        self._max_skew_ms = int(settings.max_clock_skew_s * 1000)
        self._default_paths = _split_paths(FieldPaths())
        self._mapped_paths = {
            topic: _split_paths(paths) for topic, paths in settings.fields.items() if paths != FieldPaths()
        }

    def decode(  # noqa: PLR0913, PLR0917 - a record has that many fields
        self, topic: str, key: bytes | None, value: bytes, partition: int, offset: int, timestamp_ms: int
    ) -> InputText:
        """Decode one record; `timestamp_ms` is its Kafka timestamp. For a null value, call `decode_stream_key` instead.

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
        """Use the fast typed decoder if possible; otherwise decode field by field, which also finds the error."""
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
        """The event time. A Kafka timestamp that is itself absurd sets no upper limit for it."""
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
    """The stream named by a record's key. Raises RecordError: NO_STREAM, INVALID_UTF8."""
    if not key:
        raise RecordError(Reason.NO_STREAM, "the record has no key, and its value names no stream")
    if len(key) > MAX_NAME_CHARS * MAX_UTF8_BYTES_PER_CHARACTER:
        raise RecordError(Reason.NO_STREAM, f"a key of {len(key)} bytes is too long to name a stream")
    try:
        return key.decode()
    except UnicodeDecodeError as error:
        raise RecordError(Reason.INVALID_UTF8, f"byte {error.start} of the key is not UTF-8") from None


def encode(event: SentimentEvent | ShiftEvent) -> bytes:
    """Encode the event as UTF-8 JSON."""
    return _encoder.encode(event)


def format_time(time_ms: int) -> str:
    """Format milliseconds since 1970 as RFC 3339 in UTC; times outside the years 1 to 9999 are clamped."""
    seconds, milliseconds = divmod(min(max(time_ms, _MIN_FORMATTED_MS), MAX_TIME_MS), 1000)
    return f"{_format_seconds(seconds)}.{milliseconds:03d}Z"


def parse_time(text: str) -> int:
    """Parse an RFC 3339 time into milliseconds since 1970. Raises ValueError when it is invalid."""
    return (datetime.fromisoformat(text) - EPOCH) // MILLISECOND


_MIN_FORMATTED_MS = (datetime.min.replace(tzinfo=UTC) - EPOCH) // MILLISECOND


@lru_cache(maxsize=4096)
def _format_seconds(seconds: int) -> str:
    """Cached, because consecutive records mostly share their second."""
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
    """The fields by their standard names; a missing one is None. Raises RecordError: WRONG_TYPE, NO_TEXT."""
    found = {field: _walk(payload, path) for field, path in paths.items()}
    if found["text"] is None:
        raise RecordError(Reason.NO_TEXT, f"there is nothing at {'.'.join(paths['text'])}")
    return found


def _walk(payload: Any, path: Path) -> Any:
    """The value at `path`, or None. Raises RecordError: WRONG_TYPE when a value on the way has no members."""
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
