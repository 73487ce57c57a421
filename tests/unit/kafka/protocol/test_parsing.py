"""A record is read whatever the names of its headers hold, and a damaged batch is an error and never harm."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder

from tests.factories.records import odd_name
from worker.kafka.protocol import batches
from worker.kafka.protocol.parsing import TolerantRecords


def make_batch(names: list[str], codec: int) -> bytes:
    """Records with one header each."""
    builder: Any = _DefaultRecordBatchBuilderPy(2, codec, False, -1, -1, -1, 1 << 20)
    for number, name in enumerate(names):
        builder.append(number, 1000, b"k", b"v%d" % number, [(name, b"\xff")])
    return bytes(builder.build())


def read(data: bytes) -> list[tuple[int, bytes, list[Any]]]:
    records = TolerantRecords(data)
    found = []
    while records.has_next():
        found += [(record.offset, record.value, list(record.headers)) for record in records.next_batch()]
    return found


@pytest.mark.parametrize("codec", [0, 1])
@pytest.mark.parametrize(
    ("odd", "shown"),
    [(b"\xff\xfe\0", "\\xff\\xfe\0"), (b"f\xfcr", "f\\xfcr"), (b"\xed\xa0\xbd", "\\xed\\xa0\\xbd"), (b"", "")],
)
def test_a_name_that_is_not_utf_8_shows_its_bytes_and_hides_no_record(odd: bytes, shown: str, codec: int) -> None:
    batch = make_batch(["plain", odd_name(odd), "caf\u00e9", odd_name(odd)], codec)
    names = ["plain", shown, "caf\u00e9", shown]
    expected = [(number, b"v%d" % number, [(name, b"\xff")]) for number, name in enumerate(names)]
    assert read(batch * 2) == expected * 2


def test_all_of_the_workers_consumers_parse_so() -> None:
    assert batches is not None
    assert fetcher.MemoryRecords is TolerantRecords  # type: ignore[comparison-overlap]


def test_what_the_fetcher_asks_of_a_batch_is_answered() -> None:
    batch = TolerantRecords(make_batch(["a", "b", "c"], 0)).next_batch()
    assert batch.validate_crc()
    assert (batch.base_offset, batch.next_offset, batch.is_control_batch, batch.is_transactional) == (
        0,
        3,
        False,
        False,
    )
    assert batch.producer_id == -1


def with_lengths(batch: bytes, num_records: int) -> bytes:
    """The batch, with the number of its bytes and of its records written into its header."""
    return batch[:8] + struct.pack(">i", len(batch) - 12) + batch[12:57] + struct.pack(">i", num_records) + batch[61:]


def test_a_length_that_leads_far_behind_the_batch_is_an_error_also_behind_an_odd_name() -> None:
    name = b"\xff" * 10
    record = make_batch([odd_name(name)], 0)[61:]
    far = record.replace(b"\x14" + name, b"\x80\x80\x80\x80\x40" + name)  # ten bytes become eight gigabytes
    assert len(far) == len(record) + 4
    with pytest.raises(CorruptRecordException, match="index out of range"):
        read(with_lengths(make_batch([odd_name(name)], 0) + far, 2))


@pytest.mark.parametrize("num_bytes", range(12, 61))
def test_a_batch_shorter_than_its_header_is_an_error(num_bytes: int) -> None:
    batch = make_batch(["plain"], 0)
    with pytest.raises(CorruptRecordException, match="which is less than"):
        read(batch[:8] + struct.pack(">i", num_bytes - 12) + batch[12:num_bytes])


def legacy(codec: int) -> bytes:
    builder = LegacyRecordBatchBuilder(1, codec, 1 << 20)
    for number in range(3):
        builder.append(number, 1000, b"k", b"v%d" % number)
    return bytes(builder.build())


@pytest.mark.parametrize("codec", [0, 1, 2, 3])
def test_batches_of_the_format_before_kafka_0_11_are_read(codec: int) -> None:
    assert read(legacy(codec) * 2) == [(number, b"v%d" % number, []) for number in range(3)] * 2


def test_a_length_of_the_old_format_that_leads_nowhere_ends_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = legacy(0)
    for num_bytes in (-12, -13, -(1 << 31), 13, 1 << 30):
        damaged = inner[:8] + struct.pack(">i", num_bytes) + inner[12:]
        monkeypatch.setattr("aiokafka.record.legacy_records.gzip_decode", lambda _, damaged=damaged: damaged)
        with pytest.raises((CorruptRecordException, struct.error)):
            read(legacy(1))
    monkeypatch.setattr("aiokafka.record.legacy_records.gzip_decode", lambda _: legacy(1))
    with pytest.raises(CorruptRecordException, match="compressed records within compressed records"):
        read(legacy(1))
