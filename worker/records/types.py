"""What travels on the topics: the types, from which the published JSON Schemas are made."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct

from worker.errors import Reason

UnitInterval = Annotated[float, Meta(ge=0.0, le=1.0)]
SignedUnit = Annotated[float, Meta(ge=-1.0, le=1.0)]
Count = Annotated[int, Meta(ge=0)]
DecimalText = Annotated[str, Meta(pattern="^[0-9]{1,19}$")]
MAX_NAME_CHARS = 1024  # names go into keys, headers and events, which a broker does not take at any size
Name = Annotated[str, Meta(max_length=MAX_NAME_CHARS)]


Header = tuple[str, bytes | None]


class TopicPartition(NamedTuple):
    """Names one partition of a topic."""

    topic: str
    partition: int


class OutputRecord(NamedTuple):
    """One record to publish; the input partition that it belongs to decides its partition."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]


class ResetReason(StrEnum):
    """Why a stream began again without a past; the value is the event's and the metric's label."""

    HISTORY_LOST = "history_lost"
    EXPIRED = "expired"
    NOT_FINITE = "not_finite"


class InputRecord(Struct, frozen=True, gc=False):
    """The payload of an input record by default; all but `text` may be missing."""

    text: str
    id: Name | int | float | None = None
    stream: Name | int | float | None = None
    time: Annotated[datetime, Meta(tz=True)] | int | float | None = None
    final: bool | None = None


class InputText(Struct, frozen=True, gc=False):
    """One record's text, decoded and valid."""

    record_id: str
    stream: str
    text: str
    time_ms: int
    final: bool


class Source(Struct, frozen=True, gc=False):
    """Where the record behind an event stands: its topic, partition, offset and own time (RFC 3339)."""

    topic: str
    partition: Count
    offset: Count
    time: str


class Probabilities(Struct, frozen=True, gc=False):
    """Calibrated class probabilities; they sum to one."""

    negative: UnitInterval
    neutral: UnitInterval
    positive: UnitInterval


class EventWord(Struct, frozen=True, gc=False):
    """A word at which the running score moved: `text[start:end]` of the record, and by how much it moved."""

    word: str
    start: Count
    end: Count
    change: float


class EventMood(Struct, frozen=True, gc=False):
    """The stream's running mood after this record: decayed mean score, decayed mean magnitude, records seen."""

    score: SignedUnit
    magnitude: UnitInterval
    num_records: Count


class EventState(Struct, frozen=True, gc=False):
    """How many records are in the stream's state, and why the state before this record was empty if it was reset."""

    num_records: Count
    reset: str | None


class EventModel(Struct, frozen=True, gc=False):
    """The checkpoint that read the text."""

    name: str
    fingerprint: str


class SentimentEvent(Struct, frozen=True, gc=False):
    """One per input record. `id` is topic-partition-offset: the same record always gives the same id."""

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


class ShiftEvidence(Struct, frozen=True, gc=False):
    """Why the change point was called: the test's statistic and threshold, and the records since the change."""

    method: str
    statistic: float
    threshold: float
    num_records: Count


class MoodLevel(Struct, frozen=True, gc=False):
    """A mood on one side of a change: its mean score, and the label that the mean falls under."""

    label: str
    score: SignedUnit


class ShiftEvent(Struct, frozen=True, gc=False, rename={"from_level": "from", "to_level": "to"}):
    """A stream's mood turned. `id` and `source` are of the record that showed it, `since` is when it began."""

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
    """The headers that make a record a dead letter, as UTF-8 text; its key, value and other headers stay as they were.

    topic, partition, offset and time (RFC 3339, its timestamp) are the original record's; a redrive counts up redriven.
    cut_from: 0, or the bytes of a record so large that only its beginning is kept here; it is not redriven.
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
