"""The latest moods of a bounded number of streams: the most recent ones, and among them those that change."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

MAX_POINTS: Final = 240
MAX_TEXTS: Final = 12
MAX_SHIFTS: Final = 12
_NUM_CANDIDATES: Final = 8
_HALF_LIFE_POINTS: Final = 10

StreamKey = tuple[str, str]
"""Topic and name: streams of different topics are different streams."""


@dataclass(slots=True)
class Text:
    """An event of the feed, and its text once the input record was seen; None: it was not."""

    topic: str
    stream: str
    source: tuple[str, int, int]
    label: str
    score: float
    words: list[dict[str, Any]]
    time: str
    text: str | None = None


@dataclass(slots=True)
class KeptStream:
    """One stream: its mood after each of the latest texts, its shifts and its latest texts."""

    key: StreamKey
    num_records: int = 0
    moods: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_POINTS))
    times: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_POINTS))
    texts: deque[Text] = field(default_factory=lambda: deque(maxlen=MAX_TEXTS))
    shifts: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=MAX_SHIFTS))
    change: float = 0.0  # how fast the mood moves: the decayed mean of its steps, signs kept

    @property
    def mood(self) -> float:
        """The mood after the latest text."""
        return self.moods[-1] if self.moods else 0.0

    def add(self, text: Text, mood: float, num_records: int) -> None:
        """The stream's next text, and the mood after it."""
        step = mood - self.moods[-1] if self.moods else 0.0
        self.change += (step - self.change) / _HALF_LIFE_POINTS
        self.moods.append(mood)
        self.times.append(text.time)
        self.texts.appendleft(text)
        self.num_records = num_records


class StreamTable:
    """At most `max_streams` streams. The one that goes is that which changes least of those silent longest."""

    def __init__(self, max_streams: int) -> None:
        self._max_streams = max_streams
        self._lines: OrderedDict[StreamKey, KeptStream] = OrderedDict()
        self.num_evicted = 0

    def __len__(self) -> int:
        return len(self._lines)

    def line(self, key: StreamKey) -> KeptStream:
        """The line of a stream that is active now, made where there is none."""
        found = self._lines.get(key)
        if found is None:
            if len(self._lines) >= self._max_streams:
                self._evict()
            found = self._lines[key] = KeptStream(key)
        self._lines.move_to_end(key)
        return found

    def get(self, key: StreamKey) -> KeptStream | None:
        """The line of a stream, if it is kept."""
        return self._lines.get(key)

    def search(self, words: str, max_lines: int) -> list[KeptStream]:
        """The lines whose stream or topic contains `words`, in any case, those that change fastest first."""
        sought = words.casefold().strip()
        found = [line for line in self._lines.values() if sought in f"{line.key[1]} {line.key[0]}".casefold()]
        found.sort(key=lambda line: (-abs(line.change), line.key))
        return found[:max_lines]

    def _evict(self) -> None:
        oldest = islice(self._lines.values(), _NUM_CANDIDATES)
        del self._lines[min(oldest, key=lambda line: abs(line.change)).key]
        self.num_evicted += 1
