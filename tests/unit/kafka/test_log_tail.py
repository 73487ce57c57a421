"""The end of a log: read to where committed records end, from leaders that move, in as many answers as it takes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from aiokafka.record.default_records import DefaultRecordBatchBuilder, _DefaultRecordBatchBuilderPy

from tests.factories.fake_brokers import FakeBrokers
from tests.factories.records import odd_name
from worker.errors import DependencyError, RefusedError
from worker.kafka import log as log_module
from worker.kafka import log_tail as module
from worker.kafka.log_tail import LogTail, Tail
from worker.records.types import TopicPartition
from worker.settings import load_settings

FIRST, SECOND = TopicPartition("events", 0), TopicPartition("events", 1)
EARLIEST, LATEST = -2, -1
START, END = 3, 50
BOUND_S = 60
OUT_OF_RANGE, NOT_LEADER, UNAUTHORIZED = 1, 6, 29


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "_RETRY_S", 0.0)
    monkeypatch.setattr(module, "_RETRY_S", 0.0)


def batch(first: int, last: int) -> bytes:
    """The records of these offsets."""
    builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, 0, 1 << 20)
    for number in range(last - first + 1):
        builder.append(number, timestamp=0, key=None, value=b"%d" % (first + number), headers=[])
    data = bytearray(builder.build())
    data[:8] = first.to_bytes(8, "big")
    return bytes(data)


def new_brokers(**script: Any) -> FakeBrokers:
    """Brokers that bring 20 records an answer."""
    brokers = FakeBrokers(**script)
    brokers.times = {EARLIEST: START, LATEST: END}
    brokers.fetched = lambda offset: batch(offset // 20 * 20, min(offset // 20 * 20 + 19, END - 1))
    return brokers


def read(brokers: FakeBrokers, num_offsets: int, *tps: TopicPartition, **flags: Any) -> dict[TopicPartition, Tail]:
    any_brokers: Any = brokers
    tail = LogTail(load_settings(**({"request_timeout_s": BOUND_S / 2} | flags)), any_brokers)
    return asyncio.run(asyncio.wait_for(tail.read(tps or (FIRST,), num_offsets), BOUND_S))


def offsets(found: dict[TopicPartition, Tail]) -> list[int]:
    return [record.offset for record in found[FIRST].records]


def test_the_last_offsets_are_read_in_as_many_answers_as_it_takes() -> None:
    brokers = new_brokers()
    found = read(brokers, 25)
    assert offsets(found) == list(range(25, 50))
    assert not found[FIRST].is_whole
    assert [request.topics[0][1][0][2] for request in brokers.requests("Fetch")] == [25, 40]
    assert {request.isolation_level for request in brokers.requests("Fetch")} == {1}
    assert {request.isolation_level for request in brokers.requests("Offset")} == {0, 1}


def test_of_a_short_log_everything_is_read_and_of_an_empty_one_nothing_is_asked() -> None:
    found = read(new_brokers(), 1000)
    assert offsets(found) == list(range(START, END))
    assert found[FIRST].is_whole
    brokers = new_brokers()
    brokers.times = {EARLIEST: END, LATEST: END}
    assert read(brokers, 1000) == {FIRST: Tail([], is_whole=True)}
    assert "Fetch" not in brokers.names


@pytest.mark.parametrize("trouble", [NOT_LEADER, KafkaConnectionError("away"), {FIRST: NOT_LEADER}])
def test_a_leader_that_moves_or_is_away_is_looked_for(trouble: Any) -> None:
    brokers = new_brokers(Fetch=[trouble, trouble])
    found = read(brokers, 10, FIRST, SECOND)
    assert {tp: len(tail.records) for tp, tail in found.items()} == {FIRST: 10, SECOND: 10}
    assert brokers.num_refreshes


def test_a_log_that_is_cut_meanwhile_has_nothing_more() -> None:
    assert offsets(read(new_brokers(Fetch=[OUT_OF_RANGE]), 25)) == []


def test_a_refusal_and_silence_are_errors() -> None:
    with pytest.raises(RefusedError, match="Fetch of events-0"):
        read(new_brokers(Fetch=[UNAUTHORIZED]), 10)
    with pytest.raises(DependencyError):
        read(new_brokers(Fetch=[KafkaConnectionError("away")] * 1_000_000), 10, request_timeout_s=1)


def test_a_batch_that_cannot_be_unpacked_is_passed_over_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    brokers = new_brokers()
    brokers.fetched = lambda offset: batch(offset, END - 1)[:-1] + b"?"
    assert offsets(read(brokers, 10)) == []
    assert "events-0 from offset 40 on" in caplog.text


def test_a_header_whose_name_is_not_utf_8_hides_no_output() -> None:
    builder: Any = _DefaultRecordBatchBuilderPy(2, 0, False, -1, -1, -1, 1 << 20)
    for number in range(END):
        builder.append(number, 1000, b"k", b"v", [(odd_name(b"\xff" if number == START else b"a"), b"1")])
    whole, brokers = bytes(builder.build()), new_brokers()
    brokers.fetched = lambda _: whole
    assert offsets(read(brokers, 1000)) == list(range(START, END))
