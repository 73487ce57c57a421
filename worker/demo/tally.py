"""What a demo sent and received: counts, latencies and the latest event of every stream."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from msgspec import Struct

from worker.records.codec import parse_time
from worker.records.headers import read_deadletter_headers
from worker.records.types import SentimentEvent, ShiftEvent
from worker.settings import Settings
from worker.tools.simulate import FeedRecord

NUM_SHIFTS: Final = 5
NUM_LATENCIES: Final = 200_000
RATE_WINDOW_S: Final = 5.0


class Summary(Struct, frozen=True):
    """The totals of a demo. Latencies are in ms; None: no event arrived."""

    records: int
    events: int
    dead_letters: int
    shifts: int
    p50_ms: float | None
    p99_ms: float | None

    @property
    def is_balanced(self) -> bool:
        """Whether there are as many answers as records."""
        return self.events + self.dead_letters == self.records


@dataclass(slots=True)
class StreamLine:
    """The last text of one stream, its score, and the mood after it."""

    topic: str
    num_records: int = 0
    text: str = ""
    label: str = "neutral"
    score: float = 0.0
    mood: float = 0.0


@dataclass(slots=True)
class Tally:
    """Counts records as the feed sends them and answers as the reader receives them.

    A latency is the time from the record's timestamp, which the feed sets on sending, until this process receives the
    committed event; both times come from this machine's clock.
    """

    settings: Settings
    num_sent: int = 0
    num_events: int = 0
    num_shifts: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    streams: dict[str, StreamLine] = field(default_factory=dict)
    shifts: deque[ShiftEvent] = field(default_factory=lambda: deque(maxlen=NUM_SHIFTS))
    latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=NUM_LATENCIES))
    _texts: dict[tuple[str, str], deque[str]] = field(default_factory=dict)
    _answered_at_s: deque[float] = field(default_factory=deque)

    def sending(self, records: Iterator[FeedRecord]) -> Iterator[FeedRecord]:
        """Yield the same records, count them and remember their texts, which events do not contain."""
        for record in records:
            if record.reason is None:
                fields = msgspec.json.decode(record.value)
                self._texts.setdefault((fields["stream"], fields["id"]), deque()).append(fields["text"])
            yield record
            self.num_sent += 1

    def read(self, record: Any) -> None:
        """Count one committed record of an output topic."""
        if record.topic == self.settings.events_topic:
            self._read_event(msgspec.json.decode(record.value, type=SentimentEvent))
        elif record.topic == self.settings.shifts_topic:
            self.num_shifts += 1
            self.shifts.appendleft(msgspec.json.decode(record.value, type=ShiftEvent))
        else:
            headers = read_deadletter_headers(record.headers)
            if headers and headers.redriven != "0":
                return  # it answers a record that a redrive sent, not the feed
            self.reasons[headers.reason if headers else "unknown"] += 1
            self._answered()

    def _read_event(self, event: SentimentEvent) -> None:
        self.num_events += 1
        self._answered()
        self.latencies_ms.append(time.time() * 1000 - parse_time(event.source.time))
        line = self.streams.setdefault(event.stream, StreamLine(event.source.topic))
        line.num_records += 1
        line.label, line.score, line.mood = event.label, event.score, event.mood.score
        # All pieces of a review share its id. The events of a stream arrive in the order of its records.
        texts = self._texts[event.stream, event.record_id]
        line.text = texts.popleft()
        if not texts:
            del self._texts[event.stream, event.record_id]

    def _answered(self) -> None:
        self._answered_at_s.append(time.monotonic())

    @property
    def num_dead_letters(self) -> int:
        """Dead letters, whatever their reason."""
        return self.reasons.total()

    @property
    def lag(self) -> int:
        """Records sent but not yet answered."""
        return max(0, self.num_sent - self.num_events - self.num_dead_letters)

    def rate(self) -> float:
        """Records answered per second over the last RATE_WINDOW_S seconds."""
        now_s = time.monotonic()
        while self._answered_at_s and now_s - self._answered_at_s[0] > RATE_WINDOW_S:
            self._answered_at_s.popleft()
        return len(self._answered_at_s) / RATE_WINDOW_S

    def summary(self, num_records: int) -> Summary:
        """The summary of a demo that fed `num_records` records."""
        p50_ms, p99_ms = percentiles(self.latencies_ms, (0.50, 0.99))
        return Summary(num_records, self.num_events, self.num_dead_letters, self.num_shifts, p50_ms, p99_ms)


def percentiles(values: Sequence[float] | deque[float], shares: Sequence[float]) -> list[float | None]:
    """For each share (0.5: the median), that percentile of `values`, rounded to 0.1; None without values."""
    ordered = sorted(values)
    return [
        round(ordered[min(int(share * len(ordered)), len(ordered) - 1)], 1) if ordered else None for share in shares
    ]
