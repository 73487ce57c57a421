"""What a compressed batch may unpack to: no producer has a worker killed for memory."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable

import cramjam
import pytest
from aiokafka import codec
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import UnreadableBatchError
from worker.kafka.protocol import unpacking
from worker.kafka.protocol.batches import unpacking_batch
from worker.kafka.protocol.unpacking import TooLargeBatchError

MAX_BYTES = 1 << 20
CODECS = {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
DECODERS: dict[str, Callable[..., bytes]] = {name: getattr(unpacking, f"{name}_decode") for name in CODECS}
ENCODERS: dict[str, Callable[..., bytes]] = {name: getattr(codec, f"{name}_encode") for name in CODECS}

every_codec = pytest.mark.parametrize("name", CODECS)


@every_codec
@given(data=st.binary(min_size=1, max_size=2000), repeats=st.integers(1, 50))
def test_what_fits_is_unpacked_as_aiokafka_does(name: str, data: bytes, repeats: int) -> None:
    packed = ENCODERS[name](data * repeats)
    assert DECODERS[name](packed) == data * repeats


@every_codec
def test_what_would_not_fit_is_refused_before_memory_is_taken_for_it(name: str) -> None:
    packed = ENCODERS[name](bytes(8 * MAX_BYTES))
    assert DECODERS[name](packed, 8 * MAX_BYTES) == bytes(8 * MAX_BYTES)
    with pytest.raises(TooLargeBatchError, match=f"more than {MAX_BYTES} bytes"):
        DECODERS[name](packed, MAX_BYTES)


@every_codec
@given(place=st.integers(0), byte=st.integers(0, 255), cut=st.integers(0))
def test_damaged_records_are_an_error_that_names_the_batch(name: str, place: int, byte: int, cut: int) -> None:
    packed = bytearray(ENCODERS[name](b"great flight, thanks " * 40))
    packed[place % len(packed)] = byte
    try:
        with unpacking_batch("t-0", name):
            DECODERS[name](bytes(packed)[: cut % len(packed) + 1], MAX_BYTES)
    except UnreadableBatchError:
        return


def test_several_members_and_frames_are_one_text() -> None:
    assert DECODERS["gzip"](gzip.compress(b"great ") + gzip.compress(b"flight")) == b"great flight"
    frames = bytes(cramjam.zstd.compress(b"great ")) + bytes(cramjam.zstd.compress(b"flight"))
    assert DECODERS["zstd"](frames) == b"great flight"


@pytest.mark.parametrize("block", [b"\xff\xff\xff\xff\x0f", b"\xff\xff\xff\x7f"])
def test_a_block_of_snappy_that_only_claims_a_size_is_refused(block: bytes) -> None:
    stream = struct.pack("!bccccccBii", *codec._XERIAL_V1_HEADER) + 3 * (struct.pack("!i", len(block)) + block)
    for payload in (block, stream):
        with pytest.raises(TooLargeBatchError):
            DECODERS["snappy"](payload, MAX_BYTES)
    with pytest.raises(CorruptRecordException, match="negative"):
        DECODERS["snappy"](stream[:16] + b"\xff" * 4)


@every_codec
def test_every_consumer_of_the_process_refuses_such_a_batch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    builder = DefaultRecordBatchBuilder(2, CODECS[name], 0, -1, -1, -1, 1 << 30)
    builder.append(0, 0, b"key", b"x" * 5000, [])
    batch = bytes(builder.build())
    monkeypatch.setattr(DECODERS[name], "__defaults__", (1000,))
    with pytest.raises(UnreadableBatchError, match="unpacks to more than 1000 bytes"), unpacking_batch("t-0", name):
        list(fetcher.MemoryRecords(batch).next_batch())
