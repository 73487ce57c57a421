"""Headers of the output records: CloudEvents attributes on events and shifts, reason and source on dead letters.

Events follow the CloudEvents Kafka protocol binding 1.0.2 in binary mode: attributes are headers, the event is the
value. A dead letter keeps the record's own headers in order and adds ours (`DeadLetterHeaders` in types.py). A redriven
record has one header of ours, its last, the number of its redrives; a later dead letter carries it on.

A record may come with headers of our names, from another worker's topics for instance. They stay where they are, with
`original-` before their names, until a redrive gives them their names back: what is behind the last of them is ours.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from importlib.metadata import version
from typing import NamedTuple

import msgspec

from worker.errors import RecordError
from worker.records.codec import format_time
from worker.records.comparison import ComparisonEvent
from worker.records.outputs import CONTENT_TYPES
from worker.records.types import DeadLetterHeaders, Header, SentimentEvent, ShiftEvent, content_bytes
from worker.settings import Settings

WORKER_VERSION = version("streaming-sentiment")
HIDDEN = "original-"
REDRIVEN, CUT_FROM = "sentiment-redriven", "sentiment-cut-from"
OWN_NAMES = frozenset(DeadLetterHeaders.__struct_encode_fields__)
MAX_ERROR_CHARACTERS = 500
# By default brokers accept records of up to 1 MiB, and compressed records may hold far more. A dead letter that the
# broker rejects would stop the worker at that record forever.
MAX_DEADLETTER_BYTES = 900_000
MAX_CUT_KEY_BYTES = 4096


class EventHeaders:
    """CloudEvents headers. `ce_source` is group and topic, because an event and a shift may have the same id."""

    def __init__(self, settings: Settings) -> None:
        self._constant: dict[type, tuple[Header, ...]] = {
            kind: _constant_headers(name, settings, topic, settings.output_format)
            for kind, name, topic in (
                (SentimentEvent, "sentiment.event.v1", settings.events_topic),
                (ShiftEvent, "sentiment.shift.v1", settings.shifts_topic),
            )
        }

    def of(self, event: SentimentEvent | ShiftEvent) -> list[Header]:
        """The headers of `event`; `ce_time` is the time of its source record."""
        return [
            *self._constant[type(event)],
            ("ce_id", event.id.encode()),
            ("ce_time", event.source.time.encode()),
        ]


def comparison_headers(settings: Settings, event: ComparisonEvent) -> list[Header]:
    """The headers of a comparison, which is JSON in every output format; `ce_time` is the end of its time."""
    return [
        *_constant_headers("sentiment.comparison.v1", settings, settings.comparisons_topic, "json"),
        ("ce_id", uuid.uuid4().hex.encode()),
        ("ce_time", event.until.encode()),
    ]


def _constant_headers(event_type: str, settings: Settings, topic: str, output_format: str) -> tuple[Header, ...]:
    return (
        ("ce_specversion", b"1.0"),
        ("ce_type", event_type.encode()),
        ("ce_source", f"/{settings.group}/{topic}".encode()),
        ("content-type", CONTENT_TYPES[output_format]),
    )


def deadletter_headers(  # noqa: PLR0913, PLR0917 - a record's source has that many fields
    headers: Sequence[Header],
    error: RecordError,
    topic: str,
    partition: int,
    offset: int,
    timestamp_ms: int,
    cut_from: int | None = None,
) -> list[Header]:
    """The record's `headers`, then ours with its reason and source."""
    kept, num_redriven = _split_redriven(headers)
    ours = {
        "sentiment-reason": error.reason.value,
        "sentiment-error": str(error)[:MAX_ERROR_CHARACTERS],
        "sentiment-topic": topic,
        "sentiment-partition": str(partition),
        "sentiment-offset": str(offset),
        "sentiment-time": format_time(timestamp_ms),
        "sentiment-worker-version": WORKER_VERSION,
    }
    ours |= {REDRIVEN: str(num_redriven)} if num_redriven else {}
    ours |= {} if cut_from is None else {CUT_FROM: str(cut_from)}
    return [*map(_hidden, kept), *((name, text.encode(errors="backslashreplace")) for name, text in ours.items())]


class Original(NamedTuple):
    """The part of a record that its dead letter keeps. `cut_from` is the record's size in bytes if it was cut."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]
    cut_from: int | None = None


def fit_original(
    key: bytes | None, value: bytes | None, headers: Sequence[Header], max_bytes: int = MAX_DEADLETTER_BYTES
) -> Original:
    """The whole record, or only the beginnings of its key and value if it has more than `max_bytes`."""
    num_bytes = content_bytes(key, value, headers)
    if num_bytes <= max_bytes:
        return Original(key, value, headers)
    max_key_bytes = min(MAX_CUT_KEY_BYTES, max_bytes // 4)
    return Original(
        key and key[:max_key_bytes],
        value and value[: max_bytes - max_key_bytes],
        headers[-1:] if _split_redriven(headers)[1] else [],
        num_bytes,
    )


def read_deadletter_headers(headers: Sequence[Header]) -> DeadLetterHeaders | None:
    """Our headers on a dead letter; None when they are missing or invalid, which means that no worker wrote it."""
    ours = {name: value for name, value in headers if name in OWN_NAMES and value is not None}
    try:
        return msgspec.convert({name: value.decode() for name, value in ours.items()}, DeadLetterHeaders)
    except (msgspec.ValidationError, UnicodeDecodeError):
        return None


def redriven_headers(headers: Sequence[Header], num_redriven: int) -> list[Header]:
    """The original record's headers, and the number of its redrives, including this one."""
    kept = [_shown(header) for header in headers if header[0] not in OWN_NAMES]
    return [*kept, (REDRIVEN, str(num_redriven).encode())]


def _split_redriven(headers: Sequence[Header]) -> tuple[Sequence[Header], int]:
    """A record's headers without that of a redrive, which is the last, and the number of its redrives."""
    name, value = headers[-1] if headers else ("", None)
    if name == REDRIVEN and value is not None and re.fullmatch(rb"[1-9][0-9]{0,18}", value):
        return headers[:-1], int(value)
    return headers, 0


def _hidden(header: Header) -> Header:
    """A header of the original record, under a name that is not ours."""
    name, value = header
    return (HIDDEN + name, value) if _bare(name) in OWN_NAMES else header


def _shown(header: Header) -> Header:
    """The header as the original record had it."""
    name, value = header
    return (name.removeprefix(HIDDEN), value) if _bare(name) in OWN_NAMES else header


def _bare(name: str) -> str:
    """The name without what hides it, however often."""
    while name.startswith(HIDDEN):
        name = name.removeprefix(HIDDEN)
    return name
