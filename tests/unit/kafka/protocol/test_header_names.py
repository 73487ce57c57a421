"""A record is read whatever the names of its headers hold."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from worker.kafka.protocol import batches
from worker.kafka.protocol.header_names import TolerantRecords


class OddName(str):
    """A name that a producer in another language writes as these bytes."""

    data = b""

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return self.data


def odd_name(data: bytes) -> str:
    name = OddName("odd")
    name.data = data
    return name


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
