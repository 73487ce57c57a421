"""`sentiment tail` on a terminal: a line for each event, shift and dead letter, as wide as the window at most."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.text import Text

from worker.records.codec import format_time
from worker.records.headers import read_deadletter_headers
from worker.records.outputs import output_reader
from worker.records.types import SentimentEvent, ShiftEvent
from worker.records.unicode import printable
from worker.settings import Settings
from worker.tools.tail import as_json
from worker.tools.terminal.marks import column, label_mark, score_bar, shift_mark, word_mark

STREAM_CELLS: Final = 18
TOPIC_CELLS: Final = 8
MAX_PREVIEW_BYTES: Final = 200
_WIDE_CELLS: Final = 90  # wide enough for the topic


class TailView:
    """Shows the committed records of the output topics."""

    def __init__(self, settings: Settings, console: Console) -> None:
        self._console = console
        self._with_numbers = console.no_color or console.color_system is None
        self._read_event, self._read_shift = (output_reader(settings, kind) for kind in (SentimentEvent, ShiftEvent))
        self._lines: dict[str, Callable[[Any], Text]] = {
            settings.events_topic: self._event,
            settings.shifts_topic: self._shift,
            settings.deadletters_topic: self._dead_letter,
        }

    def show(self, record: Any) -> None:
        """Write the line of one record; a record that is none of ours is named in red."""
        try:
            line = self._lines[record.topic](record)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            where = f"{record.topic}-{record.partition}, offset {record.offset}"
            line = Text(f"{where}: not what the worker writes: {printable(str(error))}", "red")
        self._console.print(line, no_wrap=True, overflow="ellipsis")

    def _event(self, record: Any) -> Text:
        event = msgspec.json.decode(as_json(self._read_event, record.value), type=SentimentEvent)
        words = (word_mark(word.word, word.change, with_number=self._with_numbers) for word in event.words)
        line = Text.assemble(
            *self._beginning(event.source.time, event.source.topic, event.stream),
            label_mark(event.label, event.score),
            " ",
            score_bar(event.score),
            f"  mood {event.mood.score:+.2f}  ",
            (_notes(event), "bold"),
        )
        return line.append_text(Text("  ").join(words))

    def _shift(self, record: Any) -> Text:
        shift = msgspec.json.decode(as_json(self._read_shift, record.value), type=ShiftEvent)
        return Text.assemble((f"{_clock(shift.source.time)} ", "dim"), shift_mark(shift))

    def _dead_letter(self, record: Any) -> Text:
        ours = read_deadletter_headers(record.headers)
        key = (record.key or b"").decode(errors="backslashreplace")
        time, topic = format_time(record.timestamp), ours.topic if ours else record.topic
        why = f"{ours.reason}: {ours.error}" if ours else "no worker wrote this record"
        value = (record.value or b"")[:MAX_PREVIEW_BYTES].decode(errors="backslashreplace")
        return Text.assemble(
            *self._beginning(time, topic, key),
            (" dead letter ", "bold reverse red"),
            f" {printable(why)}  ",
            (printable(value), "dim"),
        )

    def _beginning(self, time: str, topic: str, stream: str) -> list[str | tuple[str, str]]:
        shown = f"{column(topic, TOPIC_CELLS)} " if self._console.width >= _WIDE_CELLS else ""
        return [(f"{_clock(time)} {shown}", "dim"), f"{column(stream, STREAM_CELLS)} "]


def _clock(time: str) -> str:
    """The time of day of an RFC 3339 time in UTC."""
    return printable(time[11:19])


def _notes(event: SentimentEvent) -> str:
    """What a reader must know before relying on the event."""
    notes = ["not understood"] if event.understood is False else []
    if event.state.reset:
        notes.append(f"reset: {printable(event.state.reset)}")
    return "".join(f"{note}  " for note in notes)
