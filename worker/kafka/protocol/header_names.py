"""Names of headers that are not UTF-8: brokers take them, and aiokafka raises an error at the batch that has one.

A producer of one such record would end every worker at it. So a batch that aiokafka's parser refuses for this alone is
parsed again with its parser in Python, and the bytes in question appear in the name as `\\xff`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record import default_records, memory_records


class _Bytes(bytearray):
    """What is cut out of it decodes whatever it holds; the parser decodes nothing but names of headers."""

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return _Bytes(found) if isinstance(key, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return super().decode(encoding, errors)


class _TolerantBatch(default_records._DefaultRecordBatchPy):
    _buffer: Any

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _Bytes(self._buffer)


class _Batch:
    """A batch of aiokafka's fast parser, and of the tolerant one from the first such name on."""

    def __init__(self, batch: Any, data: memoryview) -> None:
        self._batch = batch
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        num_parsed = 0
        try:
            for record in self._batch:
                num_parsed += 1
                yield record
        except UnicodeDecodeError:
            yield from islice(_TolerantBatch(self._data), num_parsed, None)

    def __next__(self) -> Any:
        return next(self._batch)


class TolerantRecords(memory_records._MemoryRecordsPy):
    """The batches of a fetch."""

    def next_batch(self, *args: Any) -> Any:
        """The next batch, or None."""
        data = self._next_slice
        batch = super().next_batch(*args)
        return batch if batch is None or data is None else _Batch(batch, data)


def tolerate_header_names() -> None:
    """Make all of aiokafka's consumers parse so."""
    fetcher.MemoryRecords = TolerantRecords
