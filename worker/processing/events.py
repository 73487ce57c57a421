"""What is published of a result: an event, a shift, a dead letter."""

from __future__ import annotations

from typing import Any

from model import Result
from worker.errors import RecordError
from worker.records.codec import age_ms, format_time
from worker.records.headers import (
    CUT_FROM,
    MAX_DEADLETTER_BYTES,
    EventHeaders,
    deadletter_headers,
    fit_original,
)
from worker.records.outputs import OutputEncoder
from worker.records.types import (
    EventLanguage,
    EventModel,
    EventMood,
    EventState,
    EventWord,
    InputText,
    MoodLevel,
    OutputRecord,
    Probabilities,
    SentimentEvent,
    ShiftEvent,
    ShiftEvidence,
    Source,
    content_bytes,
)
from worker.settings import Settings
from worker.state.entry import StreamEntry
from worker.state.mood import Shift, level_label

_NO_MOOD = EventMood(0.0, 0.0, 0)


class EventWriter:
    """Makes the records of the output topics."""

    def __init__(self, settings: Settings, model: EventModel) -> None:
        self._settings = settings
        self._headers = EventHeaders(settings)
        self._encoder = OutputEncoder(settings)
        self._model = model

    def register_schemas(self) -> None:
        """Register the schemas of the output format. Blocks. Raises DependencyError."""
        self._encoder.register()

    def event(self, record: Any, text: InputText, result: Result, entry: StreamEntry, now_ms: float) -> SentimentEvent:
        """The event of `text`, whose stream stands at `entry` after it."""
        mood = entry.mood
        return SentimentEvent(
            id=f"{record.topic}-{record.partition}-{record.offset}",
            stream=text.stream,
            record_id=text.record_id,
            source=Source(record.topic, record.partition, record.offset, format_time(text.time_ms)),
            label=result.label,
            probabilities=Probabilities(*result.probabilities),
            score=result.score,
            confidence=result.confidence,
            words=[EventWord(word.word, word.start, word.end, word.change) for word in result.words],
            mood=EventMood(mood.score, mood.magnitude, mood.num_records) if mood else _NO_MOOD,
            state=EventState(entry.num_records, entry.reset),
            model=self._model,
            final=text.final,
            latency_ms=round(age_ms(record.timestamp, now_ms), 3),
            fallbacks=text.fallbacks,
            language=EventLanguage(*result.language),
            known=result.known,
            understood=result.understood,
        )

    def publish_event(self, event: SentimentEvent) -> OutputRecord:
        """The event as a record, keyed by its stream."""
        return self._output(self._settings.events_topic, event)

    def publish_shift(self, event: SentimentEvent, shift: Shift) -> OutputRecord:
        """The shift that `event` showed."""
        shown = ShiftEvent(
            id=event.id,
            stream=event.stream,
            from_level=MoodLevel(level_label(shift.from_score), shift.from_score),
            to_level=MoodLevel(level_label(shift.to_score), shift.to_score),
            since=format_time(shift.since_ms),
            source=event.source,
            evidence=ShiftEvidence(shift.method, shift.statistic, shift.threshold, shift.num_records),
        )
        return self._output(self._settings.shifts_topic, shown)

    def publish_deadletter(
        self, record: Any, error: RecordError, max_bytes: int = MAX_DEADLETTER_BYTES
    ) -> OutputRecord:
        """The record as it came, or its beginning where it is huge, with why it has no event in its headers."""
        key, value, kept, cut_from = fit_original(record.key, record.value, record.headers, max_bytes)
        headers = deadletter_headers(
            kept, error, record.topic, record.partition, record.offset, record.timestamp, cut_from
        )
        return OutputRecord(self._settings.deadletters_topic, key, value, headers)

    def cut_deadletter(self, record: Any, error: RecordError, letter: OutputRecord) -> OutputRecord | None:
        """A smaller dead letter than `letter`, which its topic does not take; None where nothing is left to cut."""
        num_bytes = len(letter.key or b"") + len(letter.value or b"")
        if any(name == CUT_FROM for name, _ in letter.headers):
            return self.publish_deadletter(record, error, num_bytes // 2) if num_bytes else None
        return self.publish_deadletter(record, error, content_bytes(record.key, record.value, record.headers) // 2)

    def _output(self, topic: str, event: SentimentEvent | ShiftEvent) -> OutputRecord:
        return OutputRecord(topic, event.stream.encode(), self._encoder.encode(event), self._headers.of(event))
