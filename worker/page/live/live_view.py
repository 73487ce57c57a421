"""Everything the views draw, from the records of the topics, in bounded memory."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Final

import msgspec

from worker.errors import DependencyError, RecordError
from worker.page.live.audit import Audit
from worker.page.live.counters import DistinctCounter, LatencySketch, RateWindow
from worker.page.live.streams import StreamTable, Text
from worker.page.live.texts import TextJoin
from worker.records.codec import Codec
from worker.records.headers import read_deadletter_headers
from worker.records.outputs import output_reader
from worker.records.types import InputText, SentimentEvent, ShiftEvent
from worker.settings import Settings

logger = logging.getLogger(__name__)

MAX_STREAMS: Final = 5_000
MAX_FEED: Final = 40
MAX_LANGUAGES: Final = 200
MAX_PREVIEWS, MAX_PREVIEW_BYTES = 200, 160
MAX_EVENTS_PER_S: Final = 1_000
"""Events beyond this number in a second are counted, not decoded."""


class LiveView:
    """The state behind the views. `audit` is None where the page does not follow the logs from their beginning."""

    def __init__(
        self, settings: Settings, *, is_audited: bool, now_s: Callable[[], float] = time.time, max_streams: int = 0
    ) -> None:
        self._settings = settings
        self._codec = Codec(settings)
        self._as_json = output_reader(settings, SentimentEvent), output_reader(settings, ShiftEvent)
        self._now_s = now_s
        self._sampled = (0, 0)  # the second, and how many events were decoded in it
        self.audit = Audit() if is_audited else None
        self.streams = StreamTable(max_streams or MAX_STREAMS)
        self.texts = TextJoin(self._read_text)
        self.inputs, self.events, self.decoded = RateWindow(), RateWindow(), RateWindow()
        self.latencies = LatencySketch()
        self.labels: Counter[str] = Counter()
        self.languages: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.previews: dict[str, str] = {}  # id of a dead letter -> the beginning of its value
        self.distinct = DistinctCounter()
        self.num_not_understood: int | None = None  # None: no event says whether it was understood
        self.num_shifts = 0
        self.num_unreadable = 0
        self.model: dict[str, Any] = {}
        self.feed: deque[Text] = deque(maxlen=MAX_FEED)
        self.not_understood: deque[Text] = deque(maxlen=MAX_FEED)

    def take(self, record: Any) -> None:
        """One committed record of any of the topics."""
        topic, settings = record.topic, self._settings
        try:
            if topic == settings.events_topic:
                self._take_event(record)
            elif topic == settings.shifts_topic:
                self._take_shift(record)
            elif topic == settings.deadletters_topic:
                self._take_dead_letter(record)
            else:
                self._take_input(record)
        except (RecordError, DependencyError, msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
            self.num_unreadable += 1
            logger.debug("a record of %s cannot be shown: %s", topic, error)

    def _take_input(self, record: Any) -> None:
        self.inputs.add(1, self._now_s())
        if self.audit and record.value is not None:
            self.audit.input((record.topic, record.partition), record.offset)
        self.texts.input(record)

    def _take_event(self, record: Any) -> None:
        now_s = self._now_s()
        self.events.add(1, now_s)
        self._count_stream(record)
        second, number = self._sampled
        number = number if second == int(now_s) else 0
        if number >= MAX_EVENTS_PER_S and not self.audit:
            return
        self._sampled = int(now_s), number + 1
        self.decoded.add(1, now_s)
        event: dict[str, Any] = msgspec.json.decode(self._as_json[0](record.value))
        source = event["source"]
        place = source["topic"], source["partition"]
        if self.audit:
            self.audit.answer(place, source["offset"], now_s)
        text = Text(
            source["topic"],
            event["stream"],
            (*place, source["offset"]),
            event["label"],
            event["score"],
            event["words"],
            source["time"],
        )
        self._count(event, text, now_s)
        self.texts.event(text)
        self.feed.appendleft(text)
        line = self.streams.line((text.topic, text.stream))
        line.add(text, event["mood"]["score"], event["mood"]["num_records"])

    def _count_stream(self, record: Any) -> None:
        """Count the stream of an event by its headers and key, which costs less than to decode it."""
        event_id = next((value for name, value in record.headers if name == "ce_id"), b"")
        if record.key is not None:
            self.distinct.add(event_id.rpartition(b"-")[0].rpartition(b"-")[0] + b"\0" + record.key)

    def _count(self, event: dict[str, Any], text: Text, now_s: float) -> None:
        self.latencies.add(event["latency_ms"], now_s)
        self.labels[event["label"]] += 1
        self.model = event["model"]
        language = (event.get("language") or {}).get("code")
        if language and (language in self.languages or len(self.languages) < MAX_LANGUAGES):
            self.languages[language] += 1
        understood = event.get("understood")
        if understood is not None:
            self.num_not_understood = (self.num_not_understood or 0) + (not understood)
            if not understood:
                self.not_understood.appendleft(text)

    def _take_shift(self, record: Any) -> None:
        shift: dict[str, Any] = msgspec.json.decode(self._as_json[1](record.value))
        self.num_shifts += 1
        self.streams.line((shift["source"]["topic"], shift["stream"])).shifts.appendleft(shift)

    def _take_dead_letter(self, record: Any) -> None:
        headers = read_deadletter_headers(record.headers)
        self.reasons[headers.reason if headers else "foreign"] += 1
        value = (record.value or b"")[:MAX_PREVIEW_BYTES]
        self.previews[f"{record.topic}-{record.partition}-{record.offset}"] = value.decode(errors="backslashreplace")
        if len(self.previews) > MAX_PREVIEWS:
            del self.previews[next(iter(self.previews))]
        if self.audit and headers:
            self.audit.answer((headers.topic, int(headers.partition)), int(headers.offset), self._now_s())

    def _read_text(self, record: Any) -> str | None:
        try:
            found = self._codec.decode(
                record.topic, record.key, record.value or b"", record.partition, record.offset, record.timestamp
            )
        except (RecordError, DependencyError):
            return None
        return found.text if isinstance(found, InputText) else None

    def sampled_share(self) -> float:
        """The share of the events that was decoded in the last seconds; 1: all of them."""
        now_s = self._now_s()
        rate = self.events.rate(now_s)
        return min(1.0, self.decoded.rate(now_s) / rate) if rate else 1.0
