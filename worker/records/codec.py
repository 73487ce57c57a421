"""Decodes a Kafka record into a valid text, and encodes an event into the value of its record.

Accepted fields (schemas/input.json describes the default payload; `Settings.fields` and `Settings.payloads` set others
for a topic, see docs/connect.md):

stream   Default: the record's key. Field and key should have the same name: Kafka picks the partition by the key and
         keeps order within a partition only, and a tombstone (a null value) erases the stream that its key names.
id       A string or a number. Default: topic-partition-offset, which is also the event's id.
time     See worker/payloads/times.py. Default: the record's timestamp; the worker's clock where that is absurd too.
final    Default: true.

Null counts as missing, as does an empty id, stream or time. A field other than `text` that cannot be used counts as
missing too, and the event says so (`Fallback`): a dead letter is for what has no text. An empty `text` passes the
codec, because only the pipeline knows whether a text has any words. Every decision depends on the log alone, so that a
replay decides as the first run did, except for the time of a record that has none at all. A time is therefore absurd
when it is too far ahead of the *record's* timestamp, not of the wall clock; the broker keeps the record's timestamp
near the present (`message.timestamp.after.max.ms`).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import msgspec

from worker.errors import Reason, RecordError
from worker.payloads.payload import REGISTERED_FORMATS, FieldPaths, KeyFormat, Payload
from worker.payloads.times import EPOCH, MILLISECOND, SECONDS_BELOW
from worker.records.formats.frame import is_framed, schema_id_of
from worker.records.keys import MAX_UTF8_BYTES_PER_CHARACTER, decode_stream_key
from worker.records.reader import Fields, PayloadReader
from worker.records.registry import Registry
from worker.records.types import Fallback, InputRecord, InputText, SentimentEvent, ShiftEvent, Skipped
from worker.settings import Settings

MIN_TIME_MS = (datetime(1990, 1, 1, tzinfo=UTC) - EPOCH) // MILLISECOND
MAX_TIME_MS = (datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC) - EPOCH) // MILLISECOND

_input_decoder = msgspec.json.Decoder(InputRecord)
_encoder = msgspec.json.Encoder()


class Codec:
    """Decodes the records of each input topic by that topic's settings."""

    def __init__(self, settings: Settings) -> None:
        self._max_text_bytes = settings.max_text_bytes
        self._max_skew_ms = int(settings.max_clock_skew_s * 1000)
        self._max_timestamp_ms = MAX_TIME_MS - self._max_skew_ms
        default = Payload(), FieldPaths()
        set_topics = {topic: settings.payload_of(topic) for topic in {*settings.fields, *settings.payloads}}
        self._registry = Registry(settings)
        self._registered = {topic for topic, how in set_topics.items() if how[0].format in REGISTERED_FORMATS}
        self._default_reader = PayloadReader(*default, self._registry)
        self._readers = {
            topic: PayloadReader(*how, self._registry) for topic, how in set_topics.items() if how != default
        }
        self._key_formats: dict[str, KeyFormat] = {topic: how[0].key_format for topic, how in set_topics.items()}
        self._null_skipped = {topic for topic, how in set_topics.items() if how[0].null_values == "skip"}

    def decode(  # noqa: PLR0913, PLR0917 - a record has that many fields
        self, topic: str, key: bytes | None, value: bytes, partition: int, offset: int, timestamp_ms: int
    ) -> InputText | Skipped:
        """Decode one record; `timestamp_ms` is its Kafka timestamp. For a null value, call `erased_stream` instead.

        Raises RecordError: INVALID_UTF8, INVALID_JSON, UNKNOWN_SCHEMA, SCHEMA_MISMATCH, WRONG_TYPE, NO_TEXT,
        TEXT_TOO_LONG, NO_STREAM. Raises DependencyError when a schema has to be fetched and the registry is away.
        """
        reader = self._readers.get(topic)
        if reader is None:
            # The fast way for the default payload; anything unusual about the record is left to the reader.
            try:
                record = _input_decoder.decode(value)
                time_ms = timestamp_ms if record.time is None else _to_ms(record.time)
                if MIN_TIME_MS <= time_ms <= self._latest_ms(timestamp_ms):
                    self._check_length(record.text)
                    return InputText(
                        record_id=_as_text(record.id) or f"{topic}-{partition}-{offset}",
                        stream=_as_text(record.stream) or decode_stream_key(key),
                        text=record.text,
                        time_ms=time_ms,
                        final=record.final is not False,
                    )
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass
            reader = self._default_reader
        fields = reader.read(value, MIN_TIME_MS, self._latest_ms(timestamp_ms))
        if isinstance(fields, Skipped):
            return fields
        self._check_length(fields.text)
        time_ms, fallbacks = self._date(fields, timestamp_ms)
        return InputText(
            record_id=fields.id or f"{topic}-{partition}-{offset}",
            stream=fields.stream or decode_stream_key(key, self._key_formats.get(topic, "text")),
            text=fields.text,
            time_ms=time_ms,
            final=fields.final,
            fallbacks=fallbacks,
        )

    def missing_schemas(self, topic: str, values: Iterable[bytes | None]) -> set[int]:
        """The ids of the schemas that `values` need and that `fetch_schemas` has not found yet."""
        if topic not in self._registered:
            return set()
        framed = (value for value in values if value is not None and is_framed(value))
        return self._registry.missing({schema_id_of(value) for value in framed})

    def fetch_schemas(self, ids: Collection[int]) -> None:
        """Fetch schemas, so that `decode` does not block. Blocks. Raises DependencyError."""
        self._registry.fetch(ids)

    def _latest_ms(self, timestamp_ms: int) -> int:
        """The last time that is not absurd. A Kafka timestamp that is itself absurd sets no limit."""
        return (
            timestamp_ms + self._max_skew_ms if MIN_TIME_MS <= timestamp_ms <= self._max_timestamp_ms else MAX_TIME_MS
        )

    @staticmethod
    def _date(fields: Fields, timestamp_ms: int) -> tuple[int, tuple[Fallback, ...]]:
        """The time of a record, and what stands in for its fields."""
        if fields.time_ms is not None:
            return fields.time_ms, fields.fallbacks
        if has_timestamp(timestamp_ms):
            return timestamp_ms, fields.fallbacks
        return int(time.time() * 1000), (*fields.fallbacks, Fallback.NO_TIMESTAMP)

    def erased_stream(self, topic: str, key: bytes | None) -> str | Skipped:
        """The stream that a record with a null value erases. Raises RecordError: NO_STREAM, INVALID_UTF8."""
        if topic in self._null_skipped:
            return Skipped("the value is null")
        return decode_stream_key(key, self._key_formats.get(topic, "text"))

    def _check_length(self, text: str) -> None:
        if len(text) * MAX_UTF8_BYTES_PER_CHARACTER <= self._max_text_bytes:
            return
        num_bytes = len(text.encode())
        if num_bytes > self._max_text_bytes:
            message = f"the text has {num_bytes} bytes, more than max_text_bytes ({self._max_text_bytes})"
            raise RecordError(Reason.TEXT_TOO_LONG, message)


def has_timestamp(timestamp_ms: int) -> bool:
    """Whether a record's Kafka timestamp is one: -1 means none, and others are as absurd."""
    return MIN_TIME_MS <= timestamp_ms <= MAX_TIME_MS


def age_ms(timestamp_ms: int, now_ms: float) -> float:
    """The time since a record's Kafka timestamp, at least 0; 0 for a record without one."""
    return max(0.0, now_ms - timestamp_ms) if has_timestamp(timestamp_ms) else 0.0


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


def _to_ms(time_: datetime | float) -> int:
    """A number above milliseconds is beyond every limit then, and read the other way."""
    if isinstance(time_, datetime):
        return (time_ - EPOCH) // MILLISECOND
    return round(time_ * 1000 if abs(time_) < SECONDS_BELOW else time_)


def _as_text(name: str | float | None) -> str | None:
    return name if isinstance(name, str) or name is None else str(name)
