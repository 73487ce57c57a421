"""Which dead letters a redrive sends, and what it commits. Kafka is a fake; tests/integration uses a real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any, ClassVar

import pytest
from aiokafka.errors import KafkaConnectionError

from tests.factories.records import START_MS, Record
from worker.errors import DependencyError, Reason, RecordError, SentimentError, TopicsError
from worker.kafka.producer import FencedError, ProducerRecord
from worker.records.headers import deadletter_headers
from worker.records.types import TopicPartition
from worker.settings import load_settings
from worker.tools import deadletters
from worker.tools import redrive as redrive_module
from worker.tools.deadletter_filter import Where
from worker.tools.deadletter_log import Progress, read_progress
from worker.tools.deadletters import list_deadletters
from worker.tools.redrive import RedriveSummary, redrive

LETTERS = TopicPartition("sentiment.deadletters", 0)


def letter(offset: int, reason: Reason, *, cut_from: int | None = None) -> Record:
    """The dead letter of the record at offset 100 + `offset` of tweets-1."""
    error = RecordError(reason, f"because of {reason}")
    headers = deadletter_headers([("trace", b"1")], error, "tweets", 1, 100 + offset, START_MS, cut_from)
    return Record(offset, b"a", b"value", LETTERS.topic, LETTERS.partition, headers=headers)  # type: ignore[arg-type]


class FakeLetters:
    """The dead-letter topic, unless `error` is set."""

    records: Iterable[Record] = ()
    done: ClassVar[Progress] = {}
    error: Exception | None = None

    def __init__(self, *_: Any) -> None:
        pass

    async def __aenter__(self) -> FakeLetters:
        if self.error is not None:
            raise self.error
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def ends(self) -> dict[TopicPartition, int]:
        return {LETTERS: len(list(self.records))}

    async def progress(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, Progress]:
        return {tp: dict.fromkeys(Reason, 0) | self.done for tp in tps}

    async def chunks(self, starts: Any, _: Any) -> AsyncIterator[list[Record]]:
        chunk = [record for record in self.records if record.offset >= starts[LETTERS]]
        if chunk:
            yield chunk


class FakeRedriveProducer:
    """Records what is committed, unless `error` is set."""

    committed: ClassVar[list[tuple[list[ProducerRecord], Progress]]] = []
    error: Exception | None = None

    def __init__(self, *_: Any) -> None:
        pass

    async def start(self) -> None: ...

    async def commit(self, records: Iterable[ProducerRecord], offsets: Any, group: str) -> None:
        if self.error is not None:
            raise self.error
        assert group == "sentiment-redrive"
        self.committed.append((list(records), read_progress(offsets[LETTERS])))


async def may_do_all(*_: Any) -> None:
    """Rights are a matter of real brokers."""


class FakeBrokers:
    """A cluster in which each topic has `num` partitions."""

    num = 2

    def __init__(self, _: Any) -> None:
        pass

    async def __aenter__(self) -> FakeBrokers:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def num_partitions(self, _: str) -> int:
        return self.num


@pytest.fixture(autouse=True)
def kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeLetters, "records", [letter(0, Reason.NO_TEXT), letter(1, Reason.POISON)])
    monkeypatch.setattr(FakeLetters, "done", {})
    monkeypatch.setattr(FakeLetters, "error", None)
    monkeypatch.setattr(FakeRedriveProducer, "committed", [])
    monkeypatch.setattr(FakeBrokers, "num", 2)
    monkeypatch.setattr(FakeRedriveProducer, "error", None)
    for module in (deadletters, redrive_module):
        monkeypatch.setattr(module, "Brokers", FakeBrokers)
        monkeypatch.setattr(module, "check_rights", may_do_all)
        monkeypatch.setattr(module, "DeadLetterLog", FakeLetters)
    monkeypatch.setattr(redrive_module, "TransactionalProducer", FakeRedriveProducer)


def redriven(*reasons: Reason) -> RedriveSummary:
    return asyncio.run(redrive(load_settings(), reasons))


def listed(*reasons: Reason) -> list[Any]:
    async def collect() -> list[Any]:
        return [one async for one in list_deadletters(load_settings(), reasons)]

    return asyncio.run(collect())


def test_originals_go_back_to_their_partition_with_their_time_and_own_headers() -> None:
    assert redriven() == RedriveSummary(2, 0)
    ((records, progress),) = FakeRedriveProducer.committed
    assert records[0] == ProducerRecord(
        "tweets", 1, b"a", b"value", [("trace", b"1"), ("sentiment-redriven", b"1")], START_MS
    )
    assert progress == dict.fromkeys(Reason, 2)


def test_only_the_requested_reasons_go_back_and_progress() -> None:
    assert redriven(Reason.POISON) == RedriveSummary(1, 0)
    ((records, progress),) = FakeRedriveProducer.committed
    assert len(records) == 1
    assert (progress[Reason.POISON], progress[Reason.NO_TEXT]) == (2, 0)


def test_what_was_redriven_is_not_redriven_again() -> None:
    FakeLetters.done = dict.fromkeys(Reason, 2)
    assert redriven() == RedriveSummary(0, 0)
    assert FakeRedriveProducer.committed == []


def test_a_record_that_no_worker_wrote_is_counted_and_left_alone() -> None:
    FakeLetters.records = [Record(0, b"a", b"by hand", *LETTERS)]
    assert redriven() == RedriveSummary(0, 1)
    (found,) = listed()
    assert (found.reason, found.pending) == (None, False)


def test_a_cut_record_is_not_sent_in_place_of_its_original() -> None:
    FakeLetters.records = [letter(0, Reason.TEXT_TOO_LONG, cut_from=5_000_000)]
    assert redriven() == RedriveSummary(0, 0)


def test_a_list_gives_the_source_of_each_and_whether_a_redrive_would_send_it() -> None:
    FakeLetters.done = {Reason.NO_TEXT: 1}
    first, second = listed()
    assert (first.reason, first.pending, second.reason, second.pending) == (
        *(Reason.NO_TEXT, False),
        *(Reason.POISON, True),
    )
    assert second.source.offset == 101
    assert [found.id for found in listed(Reason.POISON)] == ["sentiment.deadletters-0-1"]


def test_a_filter_sends_what_it_chooses_once_and_leaves_the_rest_pending() -> None:
    FakeLetters.records = [letter(n, Reason.NO_TEXT) for n in range(6)]
    for n, record in enumerate(FakeLetters.records):
        record.key, record.timestamp = b"ab"[n % 2 :][:1], START_MS + n
    chosen = Where(topic="tweets", stream="b", since_ms=START_MS + 1, until_ms=START_MS + 5)
    assert asyncio.run(redrive(load_settings(), (), chosen, dry_run=True)) == (2, 0)
    assert FakeRedriveProducer.committed == []
    assert asyncio.run(redrive(load_settings(), (), chosen)) == (2, 0)
    FakeLetters.done = FakeRedriveProducer.committed[-1][1]
    assert [found.status for found in listed()] == ["pending", "redriven"] * 2 + ["pending"] * 2
    assert asyncio.run(redrive(load_settings(), (), chosen)) == (0, 0)
    assert redriven() == (4, 0)
    offsets = [record.headers for records, _ in FakeRedriveProducer.committed for record in records]
    assert len(offsets) == 6
    FakeLetters.done = FakeRedriveProducer.committed[-1][1]
    assert {found.status for found in listed()} == {"redriven"}
    assert [found.id for found in asyncio.run(collected(chosen))] == [f"sentiment.deadletters-0-{n}" for n in (1, 3)]


async def collected(where: Where) -> list[Any]:
    return [one async for one in list_deadletters(load_settings(), (), where)]


def test_a_number_bounds_a_redrive_and_the_next_goes_on_behind_it() -> None:
    FakeLetters.records = [letter(n, Reason.NO_TEXT) for n in range(5)]
    for left in (2, 2, 1, 0):
        assert asyncio.run(redrive(load_settings(), number=2)) == (left, 0)
        if left:
            FakeLetters.done = FakeRedriveProducer.committed[-1][1]


def test_a_record_that_failed_again_is_not_sent_round_for_ever() -> None:
    headers = [("sentiment-redriven", b"3")]
    again = deadletter_headers(headers, RecordError(Reason.NO_TEXT, ""), "tweets", 1, 9, START_MS)
    FakeLetters.records = [Record(0, b"a", b"value", *LETTERS, headers=again)]  # type: ignore[arg-type]
    assert asyncio.run(redrive(load_settings(max_redrives=3))) == (0, 0)

    async def status(max_redrives: int) -> str:
        return (await anext(aiter(list_deadletters(load_settings(max_redrives=max_redrives))))).status

    assert (asyncio.run(status(3)), asyncio.run(status(4))) == ("given_up", "pending")
    assert asyncio.run(redrive(load_settings(max_redrives=4))) == (1, 0)
    FakeLetters.done = FakeRedriveProducer.committed[-1][1]
    assert (asyncio.run(status(3)), asyncio.run(status(4))) == ("given_up", "redriven")


def test_a_list_says_what_is_cut_and_what_no_worker_wrote() -> None:
    FakeLetters.records = [letter(0, Reason.TEXT_TOO_LONG, cut_from=5_000_000), Record(1, b"a", b"by hand", *LETTERS)]
    assert [found.status for found in listed()] == ["cut", "foreign"]


@pytest.mark.parametrize("num_partitions", [1, 0], ids=["partition", "topic"])
def test_a_source_that_is_gone_is_named(num_partitions: int) -> None:
    FakeBrokers.num = num_partitions
    with pytest.raises(TopicsError, match="tweets-1"):
        redriven()


def test_another_redrive_that_took_over_is_reported() -> None:
    FakeRedriveProducer.error = FencedError()
    with pytest.raises(SentimentError, match="another redrive"):
        redriven()


def test_a_kafka_that_does_not_answer_is_named() -> None:
    FakeLetters.error = KafkaConnectionError("no broker")
    with pytest.raises(DependencyError, match="no broker"):
        redriven()
