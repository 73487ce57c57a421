"""Headers of what goes out: CloudEvents on events and shifts, the reason and the origin on dead letters.

CloudEvents, Kafka protocol binding 1.0.2, binary mode: the attributes are headers, the event is the value.
Dead letters keep the record's own headers, in their order, and gain ours (`DeadLetterHeaders` of types.py).
A record that comes back after a redrive has one header of ours, the count of its redrives; it is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from worker import __version__
from worker.errors import RecordError
from worker.records.codec import format_time
from worker.records.types import DeadLetterHeaders, Header, SentimentEvent, ShiftEvent
from worker.settings import Settings

REDRIVEN, CUT_FROM = "sentiment-redriven", "sentiment-cut-from"
OWN_NAMES = frozenset(DeadLetterHeaders.__struct_encode_fields__)
MAX_ERROR_CHARACTERS = 500
# Brokers take records of 1 MiB by default, compressed ones far larger by what is in them: a dead letter that none takes
# would keep the worker from ever getting past its record.
MAX_DEADLETTER_BYTES = 900_000
MAX_CUT_KEY_BYTES = 4096


class EventHeaders:
    """CloudEvents headers. `ce_source` is the group and the topic, so that an event and a shift may share their id."""

    def __init__(self, settings: Settings) -> None:
        self._constant: dict[type, tuple[Header, ...]] = {
            SentimentEvent: _constant_headers("sentiment.event.v1", settings.group, settings.events_topic),
            ShiftEvent: _constant_headers("sentiment.shift.v1", settings.group, settings.shifts_topic),
        }

    def of(self, event: SentimentEvent | ShiftEvent) -> list[Header]:
        """The headers of `event`; its time is its source record's."""
        return [
            *self._constant[type(event)],
            ("ce_id", event.id.encode()),
            ("ce_time", event.source.time.encode()),
        ]


def _constant_headers(event_type: str, group: str, topic: str) -> tuple[Header, ...]:
    return (
        ("ce_specversion", b"1.0"),
        ("ce_type", event_type.encode()),
        ("ce_source", f"/{group}/{topic}".encode()),
        ("content-type", b"application/json"),
    )


def deadletter_headers(  # noqa: PLR0913, PLR0917 - where a record stands has that many parts
    headers: Sequence[Header],
    error: RecordError,
    topic: str,
    partition: int,
    offset: int,
    timestamp_ms: int,
    cut_from: int | None = None,
) -> list[Header]:
    """The record's `headers`, then why and whence it is a dead letter; ours of an earlier dead letter are replaced."""
    ours = {
        "sentiment-reason": error.reason.value,
        "sentiment-error": str(error)[:MAX_ERROR_CHARACTERS],
        "sentiment-topic": topic,
        "sentiment-partition": str(partition),
        "sentiment-offset": str(offset),
        "sentiment-time": format_time(timestamp_ms),
        "sentiment-worker-version": __version__,
    } | ({} if cut_from is None else {CUT_FROM: str(cut_from)})
    kept = [(name, value) for name, value in headers if name == REDRIVEN or name not in OWN_NAMES]
    return [*kept, *((name, text.encode(errors="backslashreplace")) for name, text in ours.items())]


class Original(NamedTuple):
    """What a dead letter keeps of its record; `cut_from`: the bytes that it had, where that is not all of it."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]
    cut_from: int | None = None


def fit_original(key: bytes | None, value: bytes | None, headers: Sequence[Header]) -> Original:
    """All of a record, or, where that is too much for a dead letter, beginnings of its key and value."""
    num_bytes = len(key or b"") + len(value or b"") + sum(len(name) + len(text or b"") for name, text in headers)
    if num_bytes <= MAX_DEADLETTER_BYTES:
        return Original(key, value, headers)
    return Original(
        key and key[:MAX_CUT_KEY_BYTES],
        value and value[: MAX_DEADLETTER_BYTES - MAX_CUT_KEY_BYTES],
        [header for header in headers if header[0] == REDRIVEN],
        num_bytes,
    )


def read_deadletter_headers(headers: Sequence[Header]) -> DeadLetterHeaders | None:
    """Ours among a dead letter's `headers`; None where they are missing or wrong: the worker did not write them."""
    ours = {name: value for name, value in headers if name in OWN_NAMES and value is not None}
    try:
        return msgspec.convert({name: value.decode() for name, value in ours.items()}, DeadLetterHeaders)
    except (msgspec.ValidationError, UnicodeDecodeError):
        return None


def redriven_headers(headers: Sequence[Header], num_redriven: int) -> list[Header]:
    """The original record's headers again, and how often it was redriven, this time included."""
    kept = [(name, value) for name, value in headers if name not in OWN_NAMES]
    return [*kept, (REDRIVEN, str(num_redriven).encode())]
