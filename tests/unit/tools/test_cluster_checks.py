"""The newest record of a topic, as `sentiment check` reads it; what real brokers answer is in tests/integration."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from worker.errors import UnreadableBatchError
from worker.kafka.log import Log
from worker.records.types import TopicPartition
from worker.settings import Settings
from worker.tools.cluster_checks import describe_inputs

TP = TopicPartition("t", 0)
GZIP = 1


def batch_of(*values: bytes, codec: int = 0, header: str = "plain") -> bytes:
    builder: Any = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=codec,
        is_transactional=False,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 20,
    )
    for number, value in enumerate(values):
        builder.append(number, timestamp=1_700_000_000_000, key=b"k", value=value, headers=[(header, b"")])
    return bytes(builder.build())


class FakeBrokers:
    """Brokers whose log of TP has a batch at each offset."""

    def __init__(self, batches: list[bytes]) -> None:
        self._batches = batches

    async def leaders(self, _: object) -> set[int]:
        return {1}

    async def ask(self, _: int, request: Any) -> Any:
        offset = request._topics[0][1][0][1]
        return SimpleNamespace(topics=[("t", [(0, 0, 0, 0, 0, [], self._batches[offset])])])


def described(monkeypatch: pytest.MonkeyPatch, *batches: bytes) -> str:
    async def answer(_: Log, asked: object) -> Any:
        return {"t": 1} if asked == ("t",) else {TP: 0}

    async def ends(_: Log, __: object) -> Any:
        return {TP: len(batches)}

    monkeypatch.setattr(Log, "partition_counts", answer)
    monkeypatch.setattr(Log, "starts", answer)
    monkeypatch.setattr(Log, "ends", ends)
    brokers: Any = FakeBrokers(list(batches))
    return asyncio.run(describe_inputs(Settings(topics=("t",)), brokers))


def test_the_codec_and_the_text_of_the_newest_record_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = described(monkeypatch, batch_of(b"no json"), batch_of(b'{"text": "fine"}', codec=GZIP))
    assert "gzip, with a text" in found


def test_a_batch_that_compaction_has_emptied_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    found = described(monkeypatch, batch_of(b'{"text": "fine"}'), batch_of())
    assert "not compressed, with a text" in found


def test_a_header_with_a_name_that_is_not_utf_8_hides_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    found = described(monkeypatch, batch_of(b'{"text": "fine"}', header="NAME").replace(b"NAME", b"\xff\xff\xff\xff"))
    assert "with a text" in found


@pytest.mark.parametrize("codec", [0, GZIP])
def test_a_damaged_batch_is_named_with_its_place(monkeypatch: pytest.MonkeyPatch, codec: int) -> None:
    data = bytearray(batch_of(b'{"text": "fine"}', codec=codec))
    data[61:64] = b"\xff\xff\xff"
    with pytest.raises(UnreadableBatchError, match="t-0 from offset 0 on cannot be unpacked"):
        described(monkeypatch, bytes(data))
