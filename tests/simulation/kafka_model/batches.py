"""The bytes of a log as a Fetch brings them: batches of records and of markers."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from tests.simulation.kafka_model.log import Entry

_BASE_OFFSET, _CRC, _ATTRIBUTES = struct.Struct(">q"), struct.Struct(">I"), struct.Struct(">h")
_CRC_AT, _ATTRIBUTES_AT = 17, 21
_TRANSACTIONAL, _CONTROL = 0x10, 0x20
_MARKER, _VERSION = struct.Struct(">hh"), 0
_COORDINATOR = struct.pack(">hi", 0, 0)


def encode(entries: Iterable[Entry]) -> bytes:
    """Each entry as a batch of its own."""
    return b"".join(map(_batch, entries))


def _batch(entry: Entry) -> bytes:
    is_marker = entry.commits is not None
    key = _MARKER.pack(_VERSION, bool(entry.commits)) if is_marker else entry.key
    value = _COORDINATOR if is_marker else entry.value
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=entry.producer_id >= 0,
        producer_id=entry.producer_id,
        producer_epoch=0,
        base_sequence=0,
        batch_size=1 << 20,
    )
    builder.append(0, timestamp=entry.timestamp, key=key, value=value, headers=list(entry.headers))
    batch = bytearray(builder.build())
    _BASE_OFFSET.pack_into(batch, 0, entry.offset)
    if is_marker:
        _ATTRIBUTES.pack_into(batch, _ATTRIBUTES_AT, _TRANSACTIONAL | _CONTROL)
    _CRC.pack_into(batch, _CRC_AT, calc_crc32c(bytes(batch[_ATTRIBUTES_AT:])))
    return bytes(batch)
