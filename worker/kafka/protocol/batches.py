"""Batches of records that a client fetched and cannot unpack: which one, why, and what to do."""

from __future__ import annotations

import struct
import traceback
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cramjam
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from backports.zstd import ZstdError

from worker.errors import UnreadableBatchError
from worker.kafka.protocol.parsing import tolerate_odd_batches
from worker.kafka.protocol.unpacking import bound_unpacking

tolerate_odd_batches()
bound_unpacking()

# What aiokafka's codecs and its parser of batches raise; IndexError to OverflowError come of what decompresses to junk,
# SystemError of lengths that become negative in its compiled parser.
_CAUSES = (
    UnsupportedCodecError,
    CorruptRecordException,
    cramjam.DecompressionError,
    ZstdError,
    EOFError,
    zlib.error,
    struct.error,
    IndexError,
    ValueError,
    OverflowError,
    SystemError,
)


@contextmanager
def unpacking(consumer: Any) -> Iterator[None]:
    """Around a fetch of `consumer`, an aiokafka client: raises UnreadableBatchError in place of its codecs' errors."""
    try:
        yield
    except _CAUSES as error:
        # aiokafka drops what is unpacked and unpacks in this order, so that the first that is left is the one.
        left = ((tp, found) for tp, found in consumer._fetcher._records.items() if isinstance(found, FetchResult))
        tp, found = next(left, (None, None))
        start = found._partition_records.next_fetch_offset if found else None
        place = f"{tp.topic}-{tp.partition} from offset {start} on" if tp else "a partition"
        raise UnreadableBatchError(place, _codec_in(error), error) from error


@contextmanager
def unpacking_batch(place: str, codec: str) -> Iterator[None]:
    """Around the records of a batch at `place`: raises UnreadableBatchError where they are damaged.

    A codec that is not installed stays an UnsupportedCodecError.
    """
    try:
        yield
    except UnsupportedCodecError:
        raise
    except _CAUSES as error:
        raise UnreadableBatchError(place, codec, error) from error


def _codec_in(error: BaseException) -> str:
    """The codec whose function raised the error; zstd's errors do not say so themselves."""
    names = (frame.name for frame in traceback.extract_tb(error.__traceback__))
    return next((name.removesuffix("_decode") for name in names if name.endswith("_decode")), "no codec")
