"""The types of the records on the topics. The published JSON Schemas are generated from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct

from worker.errors import Reason

UnitInterval = Annotated[float, Meta(ge=0.0, le=1.0)]
SignedUnit = Annotated[float, Meta(ge=-1.0, le=1.0)]
Count = Annotated[int, Meta(ge=0)]
DecimalText = Annotated[str, Meta(pattern="^[0-9]{1,19}$")]
MAX_NAME_CHARS = 1024  # names go into keys, headers and events, which have to fit a broker's limit
Name = Annotated[str, Meta(max_length=MAX_NAME_CHARS)]


Header = tuple[str, bytes | None]


def content_bytes(key: bytes | None, value: bytes | None, headers: Iterable[Header]) -> int:
    """The bytes of a record's key, value and headers."""
    return len(key or b"") + len(value or b"") + sum(len(name) + len(text or b"") for name, text in headers)


class TopicPartition(NamedTuple):
    """Names one partition of a topic."""

    topic: str
    partition: int


class OutputRecord(NamedTuple):
    """One record to publish; its partition follows from its input partition."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]


class ResetReason(StrEnum):
    """Why a stream restarted from an empty state; the value appears in the event and as the metric's label."""

    HISTORY_LOST = "history_lost"
    EXPIRED = "expired"
    NOT_FINITE = "not_finite"
    TOPIC_RECREATED = "topic_recreated"
    LOG_TRUNCATED = "log_truncated"
    MOVED = "moved"


class Fallback(StrEnum):
    """What stands in for a field that could not be used; the value appears in the event and as the metric's label.

    TIME_UNREADABLE, TIME_ABSURD: the record's timestamp for the payload's time. NO_TIMESTAMP: the worker's clock, since
    neither payload nor record has a time. ID_IGNORED, STREAM_IGNORED, FINAL_IGNORED: what stands in where the field is
    missing. SURROGATE_REPLACED: U+FFFD for half a character in the text.
    """

    TIME_UNREADABLE = "time_unreadable"
    TIME_ABSURD = "time_absurd"
    NO_TIMESTAMP = "no_timestamp"
    ID_IGNORED = "id_ignored"
    STREAM_IGNORED = "stream_ignored"
    FINAL_IGNORED = "final_ignored"
    SURROGATE_REPLACED = "surrogate_replaced"


class InputRecord(Struct, frozen=True, gc=False):
    """The default payload of an input record; every field except `text` is optional."""

    text: str
    id: Name | int | float | None = None
    stream: Name | int | float | None = None
    time: Annotated[datetime, Meta(tz=True)] | int | float | None = None
    final: bool | None = None


class InputText(Struct, frozen=True, gc=False):
    """The decoded and valid text of one record."""

    record_id: str
    stream: str
    text: str
    time_ms: int
    final: bool
    fallbacks: tuple[Fallback, ...] = ()


class Skipped(NamedTuple):
    """A record that a skip rule of its topic leaves out; `rule` is the rule in words."""

    rule: str


class Source(Struct, frozen=True, gc=False):
    """The input record behind an event: its topic, partition, offset and timestamp (RFC 3339)."""

    topic: str
    partition: Count
    offset: Count
    time: str


class Probabilities(Struct, frozen=True, gc=False):
    """Calibrated class probabilities, which sum to one."""

    negative: UnitInterval
    neutral: UnitInterval
    positive: UnitInterval


class EventWord(Struct, frozen=True, gc=False):
    """A word that changed the running score: `text[start:end]` of the record, and the change."""

    word: str
    start: Count
    end: Count
    change: float


class EventMood(Struct, frozen=True, gc=False):
    """The stream's mood after this record: decayed mean score, decayed mean magnitude, and number of records."""

    score: SignedUnit
    magnitude: UnitInterval
    num_records: Count


class EventState(Struct, frozen=True, gc=False):
    """The number of records in the stream's state, and the reason if the state was reset before this record."""

    num_records: Count
    reset: str | None


class EventModel(Struct, frozen=True, gc=False):
    """The checkpoint that read the text."""

    name: str
    fingerprint: str


class EventLanguage(Struct, frozen=True, gc=False):
    """The language of the text: its ISO 639-1 code, `und` where nothing tells it, and the confidence in that."""

    code: str
    confidence: UnitInterval


class SentimentEvent(Struct, frozen=True, gc=False, omit_defaults=True):
    """The sentiment of one input record. `id` is topic-partition-offset, so a record always gives the same id.

    fallbacks: what stands in for fields of the record that could not be used; left out where there are none. language,
    known (the share of the text's tokens that the network knows) and understood (false: do not rely on the label) are
    of the text so far; an event of before 1.0 has none of the three.
    """

    id: str
    stream: str
    record_id: str
    source: Source
    label: str
    probabilities: Probabilities
    score: SignedUnit
    confidence: UnitInterval
    words: list[EventWord]
    mood: EventMood
    state: EventState
    model: EventModel
    final: bool
    latency_ms: float
    fallbacks: tuple[Fallback, ...] = ()
    language: EventLanguage | None = None
    known: UnitInterval | None = None
    understood: bool | None = None


class ShiftEvidence(Struct, frozen=True, gc=False):
    """Why the change was reported: the test's statistic and threshold, and the number of records since the change."""

    method: str
    statistic: float
    threshold: float
    num_records: Count


class MoodLevel(Struct, frozen=True, gc=False):
    """The mood on one side of a change: the mean score, and the label of that mean."""

    label: str
    score: SignedUnit


class ShiftEvent(Struct, frozen=True, gc=False, rename={"from_level": "from", "to_level": "to"}):
    """A turn of a stream's mood. `id` and `source` name the record that revealed it; `since` is when it began."""

    id: str
    stream: str
    from_level: MoodLevel
    to_level: MoodLevel
    since: str
    source: Source
    evidence: ShiftEvidence


def _header_name(field: str) -> str:
    return "sentiment-" + field.replace("_", "-")


class DeadLetterHeaders(Struct, frozen=True, gc=False, rename=_header_name):
    """The headers that a dead letter adds to its record, as UTF-8 text; key, value and other headers are unchanged.

    topic, partition, offset and time (the RFC 3339 timestamp) are those of the original record; redriven is the number
    of its redrives. cut_from is 0, or the size in bytes of a record that was too large to keep whole; a redrive does
    not send such a record. progress: how far the worker had come, on some (worker/kafka/progress.py).
    """

    reason: Reason
    error: str
    topic: str
    partition: DecimalText
    offset: DecimalText
    time: Annotated[datetime, Meta(tz=True)]
    worker_version: str
    redriven: DecimalText = "0"
    cut_from: DecimalText = "0"
    progress: str = ""
