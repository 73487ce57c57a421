"""From raw records to new stream entries and what is published of them: steps 2 and 4 of a micro-batch.

No server and no clock of its own: what comes out depends on the records, the entries before them and the engine.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from msgspec import structs

from model import InferenceEngine, Request, Result
from worker.errors import Reason, RecordError
from worker.network import resolve_not_understood
from worker.ownership.partition import Partition
from worker.processing.events import EventWriter
from worker.processing.slices import Item, Slice
from worker.records.codec import Codec
from worker.records.types import EventModel, InputText, ResetReason, Skipped
from worker.settings import Settings
from worker.state.entry import StreamEntry
from worker.state.mood import MoodTracker


class Scorer:
    """Decodes records, plans and does the scoring, and turns results into entries and outputs."""

    def __init__(self, settings: Settings, engine: InferenceEngine) -> None:
        self._settings = settings
        self._engine = engine
        self._codec = Codec(settings)
        self._tracker = MoodTracker(settings)
        self._writer = EventWriter(settings, EventModel(engine.name, engine.fingerprint))
        self._ttl_ms = int(settings.state_ttl_s * 1000)

    def register_schemas(self) -> None:
        """Register the schemas of events and shifts. Blocks. Raises DependencyError."""
        self._writer.register_schemas()

    def missing_schemas(self, topic: str, records: Iterable[Any]) -> set[int]:
        """The ids of the schemas that `decode` would wait for."""
        return self._codec.missing_schemas(topic, (record.value for record in records))

    def fetch_schemas(self, ids: Collection[int]) -> None:
        """Fetch schemas. Blocks. Raises DependencyError."""
        self._codec.fetch_schemas(ids)

    def decode(self, records: Iterable[Any]) -> list[Item]:
        """Every record as an Item; what cannot be scored carries its error, and its neighbours go on.

        A skipped record stays in its place too: the offset to commit lies behind it.
        """
        return [self._decode(record) for record in records]

    def _decode(self, record: Any) -> Item:
        try:
            if record.value is None:
                erased = self._codec.erased_stream(record.topic, record.key)
                return Item(record, is_skipped=True) if isinstance(erased, Skipped) else Item(record, erased)
            text = self._codec.decode(
                record.topic, record.key, record.value, record.partition, record.offset, record.timestamp
            )
            return Item(record, is_skipped=True) if isinstance(text, Skipped) else Item(record, text.stream, text)
        except RecordError as error:
            return Item(record, error=error.kept())

    def plan(self, work: Slice) -> list[tuple[Item, Request]]:
        """What to score, in offset order; a stream that is erased or expires on the way continues as another one."""
        planned: list[tuple[Item, Request]] = []
        cursors: dict[str, _Cursor] = {}
        for item in work.items:
            if not item.concerns_stream:
                continue
            cursor = cursors.get(item.stream)
            if cursor is None:
                entry = work.partition.entry(item.stream)
                cursor = cursors[item.stream] = _Cursor(work.partition, item.stream, entry)
            text = item.text
            if text is None:
                cursor.restart()
                continue
            expires = cursor.time_ms is not None and text.time_ms - cursor.time_ms > self._ttl_ms
            if text.final and (expires or not cursor.open) and not self._engine.has_words(text.text):
                # Only the last piece of a text may be empty. A dead letter leaves its stream as it was.
                item.error = RecordError(Reason.EMPTY_TEXT, "nothing is left of the text after normalising")
                continue
            if expires:
                cursor.restart()
                item.reset = ResetReason.EXPIRED
            item.starts_empty = cursor.take_fresh()
            planned.append((item, Request(cursor.key, text.text, text.final, cursor.state)))
            cursor.advance(text)
        return planned

    def score(self, requests: Sequence[Request]) -> list[Result | RecordError]:
        """One answer for each request, in order. A batch that fails is halved until the poisonous text stands alone.

        Raises what the engine raised when it cannot read a harmless text either: the records are not to blame then.
        """
        answers = self._score(list(requests))
        if answers and all(isinstance(answer, RecordError) for answer in answers):
            self._engine.score([Request("probe", "good")])
        return answers

    def _score(self, requests: list[Request]) -> list[Result | RecordError]:
        if not requests:
            return []
        try:
            return list(self._engine.score(requests))
        except Exception as error:
            if len(requests) == 1:
                return [RecordError(Reason.POISON, f"{type(error).__name__}: {error}")]
        middle = len(requests) // 2
        first = self._score(requests[:middle])
        reached = {
            request.stream: answer.state
            for request, answer in zip(requests[:middle], first, strict=True)
            if isinstance(answer, Result)
        }
        second = [r._replace(state=reached[r.stream]) if r.stream in reached else r for r in requests[middle:]]
        return first + self._score(second)

    def conclude(self, work: Slice, now_ms: float) -> None:
        """Fill `changed` and `outputs` from the items' results, in offset order."""
        for item in work.items:
            if item.text is not None and item.result is not None:
                self._resolve(work, item, item.text, item.result)
            if item.error is not None:
                if item.starts_empty:
                    work.changed[item.stream] = None
                if not work.is_replayed(item) and not self._settings.shadow:
                    work.publish(item, self._writer.publish_deadletter(item.record, item.error))
            elif item.erases:
                work.changed[item.stream] = None
            elif item.text is not None and item.result is not None:
                work.changed[item.stream] = self._advance(work, item, item.text, item.result, now_ms)

    def _resolve(self, work: Slice, item: Item, text: InputText, result: Result) -> None:
        """What becomes of `result` under the setting `not_understood`: the item's result, or its error.

        A dead letter leaves its stream as it was, without the pieces of its text that came before.
        """
        try:
            item.result = resolve_not_understood(self._settings, result, final=text.final)
        except RecordError as error:
            item.error, item.result = error.kept(), None
            before = _entry_before(work, item)
            if before is not None and before.state.open_text is not None:
                work.changed[item.stream] = structs.replace(before, state=result.state)

    def _advance(self, work: Slice, item: Item, text: InputText, result: Result, now_ms: float) -> StreamEntry:
        """The stream's entry after `item`, whose event and shift go to the outputs unless it is replayed.

        A shadow publishes events alone; its entries become those of a rebuild, which the group's readers have no event
        of yet.
        """
        is_silent = self._settings.shadow or work.is_replayed(item)
        before = _entry_before(work, item)
        mood, shift = before.mood if before else None, None
        if text.final and (result.understood or self._settings.not_understood == "score"):
            mood, shift = self._tracker.update(mood, result.score, text.time_ms)
        entry = StreamEntry(
            state=result.state,
            mood=mood,
            num_records=(before.num_records if before else 0) + 1,
            time_ms=max(before.time_ms, text.time_ms) if before else text.time_ms,
            reset=_unreported_reset(work, item, result, before, is_silent=is_silent),
        )
        if work.is_replayed(item):
            return entry
        event = self._writer.event(item.record, text, result, entry, now_ms)
        work.publish(item, self._writer.publish_event(event))
        if is_silent:
            return entry
        if entry.reset is not None:
            work.resets.append(entry.reset)
        if shift is not None:
            work.num_shifts += 1
            work.publish(item, self._writer.publish_shift(event, shift))
        return entry.reported()


def _entry_before(work: Slice, item: Item) -> StreamEntry | None:
    if item.starts_empty:
        return None
    stream = item.stream
    return work.changed[stream] if stream in work.changed else work.partition.entry(stream)


def _unreported_reset(
    work: Slice, item: Item, result: Result, before: StreamEntry | None, *, is_silent: bool
) -> ResetReason | None:
    """The reset reason that no event has reported yet, or None.

    is_silent: the record's event is another one than here, and has reported the record's own reason.
    """
    reason = ResetReason(result.reset) if result.reset is not None else item.reset
    if reason is not None:
        return None if is_silent else reason
    if before is not None:
        return before.reset
    if item.stream in work.changed:
        return None
    reason = work.partition.first_seen_reset(item.record.key)
    # A move is told by the record's own event; that history is lost, by the first event after it was lost.
    return None if reason is ResetReason.MOVED and is_silent else reason


class _Cursor:
    """A stream within one micro-batch: the state it starts from, and its name for the engine."""

    def __init__(self, partition: Partition, stream: str, entry: StreamEntry | None) -> None:
        self._identity = (partition.tp, stream)
        self._num_restarts = 0
        self._fresh = entry is None
        self.state = entry.state if entry else None
        self.time_ms = entry.time_ms if entry else None
        self.open = entry is not None and entry.state.open_text is not None

    @property
    def key(self) -> tuple[Any, int]:
        """What the engine knows the stream as; another one after each restart."""
        return self._identity, self._num_restarts

    def restart(self) -> None:
        """From here on the stream is empty."""
        self._num_restarts += 1
        self._fresh, self.state, self.time_ms, self.open = True, None, None, False

    def take_fresh(self) -> bool:
        """Whether the next text is the first since the stream was empty."""
        fresh, self._fresh = self._fresh, False
        return fresh

    def advance(self, text: InputText) -> None:
        """Past `text`."""
        self.time_ms = text.time_ms if self.time_ms is None else max(self.time_ms, text.time_ms)
        self.open = not text.final
