"""Joins events with the texts of their input records, which events do not contain."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from worker.page.live.streams import Text

MAX_RECORDS: Final = 20_000
MAX_BYTES: Final = 16 << 20
MAX_WAITING: Final = 5_000

Source = tuple[str, int, int]


class TextJoin:
    """Keeps the latest inputs, undecoded, and the events whose input has not been seen yet.

    read: the text of an input record; None where it has none.
    """

    def __init__(self, read: Callable[[Any], str | None]) -> None:
        self._read = read
        self._records: OrderedDict[Source, Any] = OrderedDict()
        self._num_bytes = 0
        self._waiting: OrderedDict[Source, Text] = OrderedDict()

    @property
    def num_bytes(self) -> int:
        """The bytes of the values that are kept."""
        return self._num_bytes

    def input(self, record: Any) -> None:
        """An input record, which gives a waiting event its text."""
        source = record.topic, record.partition, record.offset
        waiting = self._waiting.pop(source, None)
        if waiting is not None:
            waiting.text = self._read(record)
            return
        self._records[source] = record
        self._num_bytes += len(record.value or b"")
        while self._records and (len(self._records) > MAX_RECORDS or self._num_bytes > MAX_BYTES):
            self._forget(next(iter(self._records)))

    def event(self, text: Text) -> None:
        """An event, which gets its text now or when its input comes."""
        record = self._records.get(text.source)
        if record is not None:
            text.text = self._read(record)
            self._forget(text.source)
            return
        self._waiting[text.source] = text
        if len(self._waiting) > MAX_WAITING:
            self._waiting.popitem(last=False)

    def _forget(self, source: Source) -> None:
        self._num_bytes -= len(self._records.pop(source).value or b"")
