"""Which parser reads a batch, and what it may not do: read memory beyond the batch, wait for ever, or refuse a name.

aiokafka's compiled parser of today's batches (format 2) is fast and checks most lengths. Three things it leaves to us:

- Names of headers that are not UTF-8: brokers take them, and it raises an error at the batch that has one, so that a
  producer of one such record would end every worker. Such a batch is parsed again with aiokafka's parser in Python,
  and the bytes in question appear in the name as `\\xff`. That parser checks no length before it skips a value, so it
  is given the reader of numbers that stays within its buffer, not the compiled one, which follows any position.
- A batch shorter than its own header: the compiled parser would read behind it.
- Formats 0 and 1, of logs from before Kafka 0.11: the compiled parser follows a negative length backwards or for ever.
  They are rare, and read by the parser in Python.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record import default_records, legacy_records, memory_records
from aiokafka.record.util import decode_varint_py

_HEADER_BYTES: Final = default_records.DefaultRecordBase.HEADER_STRUCT.size


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

    def _read_msg(self, decode_varint: Any = decode_varint_py) -> Any:
        return super()._read_msg(decode_varint)


class _LegacyBatch(legacy_records._LegacyRecordBatchPy):
    _decompressed = False

    def _read_header(self, pos: int) -> Any:
        found = super()._read_header(pos)
        _, num_bytes, _, _, attributes, _ = found
        if not self.RECORD_OVERHEAD_V0 <= num_bytes <= len(self._buffer) - self.LOG_OVERHEAD - pos:
            raise CorruptRecordException(f"a record of {num_bytes} bytes, where there is none so long")
        if self._decompressed and attributes & self.CODEC_MASK:
            raise CorruptRecordException("compressed records within compressed records")
        return found


class _Batch:
    """A batch of aiokafka's fast parser, and of the tolerant one from the first name on that is not UTF-8."""

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
        """The next batch, or None. Raises CorruptRecordException and struct.error where it is damaged."""
        data = self._next_slice
        if data is None:
            return None
        if len(data) < self.MIN_SLICE:
            raise CorruptRecordException(f"a batch of {len(data)} bytes, which is less than a record has")
        magic = data[self.MAGIC_OFFSET]
        if magic < 2:
            self._cache_next()
            return _LegacyBatch(data, magic)
        if len(data) < _HEADER_BYTES:
            raise CorruptRecordException(f"a batch of {len(data)} bytes, which is less than its header has")
        return _Batch(super().next_batch(*args), data)


def tolerate_odd_batches() -> None:
    """Make all of aiokafka's consumers parse so."""
    fetcher.MemoryRecords = TolerantRecords
