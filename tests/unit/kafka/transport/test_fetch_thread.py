"""What a fetch is stamped with, and where a seek goes. The consumer is a fake."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError
from faust.transport.drivers import aiokafka as driver

from worker.kafka.transport import fetch_thread as fetch_thread_module
from worker.kafka.transport.fetch_thread import BatchConsumerThread, Fetched
from worker.records.types import TopicPartition

FIRST, SECOND = KafkaTopicPartition("tweets", 0), KafkaTopicPartition("tweets", 1)
OUR_FIRST, OUR_SECOND = TopicPartition(*FIRST), TopicPartition(*SECOND)


class FakeConsumer:
    """An AIOKafkaConsumer with two partitions."""

    def __init__(self) -> None:
        self.sought: dict[Any, int] = {}
        self.is_paused: set[Any] = set()
        self.ends: dict[Any, int | None] = {FIRST: 9, SECOND: 5}
        self.num_topics_asked = 0
        self._fetcher = SimpleNamespace(_fetch_min_bytes=1, _fetch_max_wait_ms=500)

    def assignment(self) -> set[Any]:
        return {FIRST, SECOND}

    def paused(self) -> set[Any]:
        return self.is_paused

    def seek(self, tp: Any, offset: int) -> None:
        self.sought[tp] = offset

    def pause(self, tp: Any) -> None:
        self.is_paused.add(tp)

    def resume(self, tp: Any) -> None:
        self.is_paused.discard(tp)

    def highwater(self, tp: Any) -> int | None:
        return self.ends[tp]

    async def position(self, tp: Any) -> int:
        return self.sought[tp]

    async def topics(self) -> set[str]:
        self.num_topics_asked += 1
        return {"tweets"}


class BareThread(BatchConsumerThread):
    """Without a thread."""

    def __init__(self) -> None:
        self.client = FakeConsumer()
        self.wait_s = 0.0
        self.consumer: Any = SimpleNamespace(fetch_wait_s=lambda: self.wait_s)

    def _ensure_consumer(self) -> Any:
        return self.client


@pytest.fixture
def fetches(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What Faust's own thread fetches: records, or an error to raise."""
    answers: list[Any] = []

    async def fetch(*_: Any, **__: Any) -> Any:
        answer = answers.pop(0)
        if callable(answer):
            answer = await answer()
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(driver.AIOKafkaConsumerThread, "_fetch_records", fetch)
    return answers


async def sought(positions: dict[TopicPartition, int]) -> BareThread:
    thread = BareThread()
    await thread.seek_all(3, positions)
    return thread


def test_records_carry_the_number_of_the_last_seek_when_they_return(fetches: list[Any]) -> None:
    async def scenario() -> Fetched:
        thread = await sought({OUR_FIRST: 5, OUR_SECOND: 0})

        async def returns_after_a_seek() -> dict[Any, list[int]]:
            await thread.seek_all(4, {OUR_FIRST: 7, OUR_SECOND: 0})
            return {FIRST: [7]}

        fetches.append(returns_after_a_seek)
        answer: Fetched = await thread._fetch_records()
        return answer

    fetched = asyncio.run(scenario())
    assert (fetched.seek_number, fetched.records) == (4, {FIRST: [7]})


def requests_after(fetches: list[Any], records: dict[Any, list[int]], wait_s: float) -> list[tuple[int, int]]:
    """Least bytes and longest wait of the requests that follow a fetch: right after it, and a while later."""

    async def scenario() -> list[tuple[int, int]]:
        thread = await sought({OUR_FIRST: 5, OUR_SECOND: 0})
        thread.wait_s = wait_s
        fetches.append(records)
        assert (await thread._fetch_records()).records == records
        fetcher, found = thread.client._fetcher, []
        for later_s in (0.0, 0.02 + wait_s):
            await asyncio.sleep(later_s)
            found.append((fetcher._fetch_min_bytes, fetcher._fetch_max_wait_ms))
        return found

    return asyncio.run(scenario())


def test_after_records_brokers_collect_more_in_one_request_and_answer_the_next_at_once(fetches: list[Any]) -> None:
    (least_bytes, wait_ms), later = requests_after(fetches, {FIRST: [5]}, wait_s=0.03)
    assert least_bytes > 1
    assert wait_ms == 30
    assert later == (1, 500)


def test_after_a_fetch_without_records_brokers_answer_at_once(fetches: list[Any]) -> None:
    assert requests_after(fetches, {}, wait_s=0.03) == [(1, 500)] * 2


def test_where_commits_cost_nothing_or_a_batch_is_here_already_brokers_answer_at_once(fetches: list[Any]) -> None:
    assert requests_after(fetches, {FIRST: [5]}, wait_s=0.0) == [(1, 500)] * 2


def test_a_fetch_says_where_the_consumer_stands_and_the_log_ends(fetches: list[Any]) -> None:
    async def scenario() -> list[Fetched]:
        thread = await sought({OUR_FIRST: 5, OUR_SECOND: 2})
        thread.client.ends[SECOND] = None
        fetches.extend([{}, {}])
        return [await thread._fetch_records() for _ in range(2)]

    first, second = asyncio.run(scenario())
    assert first.positions == {OUR_FIRST: (5, 9)}
    assert second.positions == {}, "a moment later"


def test_a_seek_makes_the_next_fetch_say_so_again(fetches: list[Any]) -> None:
    async def scenario() -> list[Fetched]:
        thread = await sought({OUR_FIRST: 5})
        fetches.extend([{}, {}])
        found = [await thread._fetch_records()]
        await thread.seek_all(4, {OUR_FIRST: 6})
        return [*found, await thread._fetch_records()]

    assert [fetched.positions for fetched in asyncio.run(scenario())] == [{OUR_FIRST: (5, 9)}, {OUR_FIRST: (6, 9)}]


def test_offsets_that_a_log_does_not_hold_are_named(fetches: list[Any]) -> None:
    async def scenario() -> Fetched:
        thread = await sought({OUR_FIRST: 50})
        fetches.append(OffsetOutOfRangeError({FIRST: 50}))
        answer: Fetched = await thread._fetch_records()
        return answer

    assert asyncio.run(scenario()) == Fetched(3, {}, {}, frozenset([OUR_FIRST]))


def test_a_partition_that_is_not_sought_yet_has_no_records(fetches: list[Any]) -> None:
    async def scenario() -> Fetched:
        fetches.append(NoOffsetForPartitionError(FIRST))
        answer: Fetched = await BareThread()._fetch_records()
        return answer

    assert asyncio.run(scenario()) == Fetched(-1, {}, {})


def test_partitions_that_are_not_owned_are_not_fetched_from_until_they_are() -> None:
    async def scenario() -> BareThread:
        thread = await sought({OUR_FIRST: 5})
        assert thread.client.paused() == {SECOND}
        await thread.seek_all(4, {OUR_FIRST: 5, OUR_SECOND: 8})
        return thread

    thread = asyncio.run(scenario())
    assert thread.client.paused() == set()
    assert thread.client.sought == {FIRST: 5, SECOND: 8}


def test_uncommitted_records_of_other_producers_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    consumer = FakeConsumer()
    monkeypatch.setattr(driver.AIOKafkaConsumerThread, "_create_worker_consumer", lambda *_: consumer)
    assert BareThread()._create_worker_consumer(None) is consumer
    assert consumer._isolation_level == "read_committed"  # type: ignore[attr-defined]


def test_brokers_are_asked_with_a_small_request() -> None:
    thread = BareThread()
    asyncio.run(thread.ask_brokers())
    assert thread.client.num_topics_asked == 1
    assert fetch_thread_module._LOOK_S < 1
