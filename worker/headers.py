"""Headers of what goes out: CloudEvents on events and shifts, the reason and the origin on dead letters.

CloudEvents, Kafka protocol binding 1.0.2, binary mode: the attributes are headers, the event is the value.
Dead letters keep the record's own headers, in their order, and gain ours (`DeadLetterHeaders` of worker/records.py).
A record that comes back after a redrive has one header of ours, the count of its redrives; it is kept.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from worker import __version__
from worker.codec import format_time
from worker.errors import RecordError
from worker.records import DeadLetterHeaders, SentimentEvent, ShiftEvent
from worker.settings import Settings

Header = tuple[str, bytes | None]

REDRIVEN = "sentiment-redriven"
OWN_NAMES = frozenset(DeadLetterHeaders.__struct_encode_fields__)
MAX_ERROR_CHARACTERS = 500


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
    headers: Sequence[Header], error: RecordError, topic: str, partition: int, offset: int, timestamp_ms: int
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
    }
    kept = [(name, value) for name, value in headers if name not in ours]
    return [*kept, *((name, text.encode(errors="backslashreplace")) for name, text in ours.items())]


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
