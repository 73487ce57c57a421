"""Bounds what a compressed batch unpacks to: a megabyte of zstd may hold 32 GB, and a broker takes it.

aiokafka's codecs unpack a batch whole, however large; so a producer of one such batch would have every worker that
meets it killed for memory.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any, Final

import cramjam
from aiokafka import codec
from aiokafka.errors import CorruptRecordException
from aiokafka.record import default_records, legacy_records
from aiokafka.record._crecords import default_records as fast_records
from aiokafka.record._crecords import legacy_records as fast_legacy_records
from backports import zstd

MAX_UNPACKED_BYTES: Final = 256 << 20

_GZIP_FORMAT: Final = 16 + zlib.MAX_WBITS
_MAX_LZ4_RATIO: Final = 255
_XERIAL_BYTES: Final = 16
_XERIAL_LENGTH: Final = struct.Struct("!i")


class TooLargeBatchError(CorruptRecordException):
    """The records of a batch need more memory than a batch is given."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"it unpacks to more than {max_bytes} bytes")


def gzip_decode(payload: Any, max_bytes: int = MAX_UNPACKED_BYTES) -> bytes:
    """All members of `payload`. Raises TooLargeBatchError, zlib.error, EOFError."""
    return _unpack(payload, lambda: zlib.decompressobj(_GZIP_FORMAT), max_bytes)


def zstd_decode(payload: Any, max_bytes: int = MAX_UNPACKED_BYTES) -> bytes:
    """All frames of `payload`. Raises TooLargeBatchError, ZstdError, EOFError."""
    return _unpack(payload, zstd.ZstdDecompressor, max_bytes)


def _unpack(payload: Any, make: Callable[[], Any], max_bytes: int) -> bytes:
    rest, found = bytes(payload), b""
    while rest:
        decompressor = make()
        found += decompressor.decompress(rest, max_bytes + 1 - len(found))
        if len(found) > max_bytes:
            raise TooLargeBatchError(max_bytes)
        if not decompressor.eof:
            raise EOFError("the compressed records end too early")
        rest = decompressor.unused_data
    return found


def lz4_decode(payload: Any, max_bytes: int = MAX_UNPACKED_BYTES) -> bytes:
    """The frame of `payload`. Raises TooLargeBatchError, cramjam.DecompressionError."""
    if len(payload) * _MAX_LZ4_RATIO <= max_bytes:
        return bytes(codec.lz4_decode(payload))
    unpacked = bytearray(max_bytes)
    try:
        num_bytes = cramjam.lz4.decompress_into(payload, unpacked)
    except cramjam.DecompressionError as error:
        if "write whole buffer" in str(error):
            raise TooLargeBatchError(max_bytes) from error
        raise
    return bytes(memoryview(unpacked)[:num_bytes])


def snappy_decode(payload: Any, max_bytes: int = MAX_UNPACKED_BYTES) -> bytes:
    """The one block of `payload`, or those of a xerial stream. Raises TooLargeBatchError, cramjam.DecompressionError.

    A block claims its size, and memory is taken for the claim.
    """
    data = bytes(payload)
    if sum(cramjam.snappy.decompress_raw_len(block) for block in _snappy_blocks(data)) > max_bytes:
        raise TooLargeBatchError(max_bytes)
    return bytes(codec.snappy_decode(data))


def _snappy_blocks(data: bytes) -> list[bytes]:
    if not codec._detect_xerial_stream(data):
        return [data]
    blocks, place = [], _XERIAL_BYTES
    while place < len(data):
        (num_bytes,) = _XERIAL_LENGTH.unpack_from(data, place)
        if num_bytes < 0:
            raise CorruptRecordException("a block of snappy with a negative length")
        place += _XERIAL_LENGTH.size
        blocks.append(data[place : place + num_bytes])
        place += num_bytes
    return blocks


def bound_unpacking() -> None:
    """Make all of aiokafka's parsers of batches unpack so."""
    for module in (default_records, fast_records, legacy_records, fast_legacy_records):
        for decode in (gzip_decode, zstd_decode, lz4_decode, snappy_decode):
            if hasattr(module, decode.__name__):
                setattr(module, decode.__name__, decode)
