"""The group's offsets held against what is published: which outputs count, what is waited for, and how long."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.factories.partitions import TOPIC, new_observers
from tests.factories.records import TWEETS
from tests.metric_names import value_of
from worker.errors import DependencyError
from worker.kafka.group import GroupOffsets
from worker.kafka.group_offsets import GroupOffset
from worker.kafka.log_tail import Tail
from worker.kafka.progress import Progress, Said, progress_header
from worker.ownership import published as module
from worker.ownership.published import ProvenOffsets, Published
from worker.records.types import TopicPartition
from worker.settings import load_settings

IDS = {"tweets": TOPIC.topic_id, "reviews": "cluster/2"}
EVENTS, DEADLETTERS = "sentiment.events", "sentiment.deadletters"
NUM_PARTITIONS = 2
THIRD = TopicPartition("tweets", 2)
OURS = Said("sentiment", TWEETS, TOPIC.topic_id, Progress(0, 7))


class FakeTail:
    """Outputs that say something, by where they are and how far from the end; and what is asked for.

    num_offsets: of each log. aborted: whether readers see nothing between these outputs.
    """

    def __init__(self, *outputs: tuple[str, int, int, Said], num_offsets: int = 40, aborted: bool = False) -> None:
        self.outputs = outputs
        self.num_offsets = num_offsets
        self.aborted = aborted
        self.asked: list[tuple[list[TopicPartition], int]] = []

    async def read(self, tps: Collection[TopicPartition], num_offsets: int) -> dict[TopicPartition, Tail]:
        self.asked.append((sorted(tps), num_offsets))
        others = [] if self.aborted else [SimpleNamespace(headers=[])] * (min(num_offsets, self.num_offsets) // 2)
        return {
            tp: Tail(
                others
                + [
                    SimpleNamespace(headers=[progress_header(said)])
                    for topic, number, distance, said in self.outputs
                    if (topic, number) == tp and distance <= num_offsets
                ],
                is_whole=num_offsets >= self.num_offsets,
            )
            for tp in tps
        }


class FakeBrokers:
    def __init__(self, num_partitions: int = NUM_PARTITIONS) -> None:
        self.count = num_partitions

    async def num_partitions(self, _: str) -> int:
        return self.count


def progress(
    tail: FakeTail,
    monkeypatch: pytest.MonkeyPatch,
    tps: Iterable[TopicPartition] = (TWEETS,),
    topic_ids: dict[str, str] = IDS,
    brokers: Any = None,
    **flags: Any,
) -> dict[TopicPartition, Progress]:
    monkeypatch.setattr(module, "LogTail", lambda *_: tail)
    published = Published(load_settings(**flags), brokers or FakeBrokers())
    return asyncio.run(published.progress(topic_ids, list(tps)))


def test_the_latest_of_events_and_dead_letters_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    later = OURS._replace(progress=Progress(0, 9))
    tail = FakeTail((EVENTS, 0, 2, OURS), (DEADLETTERS, 0, 2, later))
    assert progress(tail, monkeypatch) == {TWEETS: Progress(0, 9)}


def test_what_was_said_before_the_offset_went_back_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = (OURS._replace(progress=one) for one in (Progress(0, 90), Progress(1, 3)))
    tail = FakeTail((DEADLETTERS, 0, 2, before), (EVENTS, 0, 2, after))
    assert progress(tail, monkeypatch) == {TWEETS: Progress(1, 3)}


@pytest.mark.parametrize(
    "said",
    [
        OURS._replace(group="sentiment.shadow.ff"),
        OURS._replace(topic_id="cluster/0"),
        OURS._replace(tp=TopicPartition("others", 0)),
        OURS._replace(topic_id=""),
    ],
)
def test_other_groups_and_topics_and_earlier_topics_of_the_name_say_nothing(
    monkeypatch: pytest.MonkeyPatch, said: Said
) -> None:
    assert progress(FakeTail((EVENTS, 0, 2, said)), monkeypatch) == {}


def test_where_outputs_went_before_their_topic_grew_nothing_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    third = OURS._replace(tp=THIRD)
    assert progress(FakeTail((EVENTS, 1, 2, third)), monkeypatch, [THIRD]) == {}
    assert progress(FakeTail((EVENTS, 0, 2, third)), monkeypatch, [THIRD]) == {THIRD: OURS.progress}


def test_further_back_it_is_looked_only_where_what_is_taken_over_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    third = OURS._replace(tp=THIRD)
    outputs = (EVENTS, 0, 2, OURS), (DEADLETTERS, 0, 2, OURS), (EVENTS, 0, 900, third)
    tail = FakeTail(*outputs, num_offsets=100_000)
    assert progress(tail, monkeypatch) == {TWEETS: OURS.progress}
    assert progress(tail, monkeypatch, [TWEETS, THIRD]) == {TWEETS: OURS.progress, THIRD: OURS.progress}
    (near, few), (again, _), (far, many) = tail.asked
    assert len(near) == len(again) == 2 * NUM_PARTITIONS
    assert far == [TopicPartition(DEADLETTERS, 0), TopicPartition(EVENTS, 0)]
    assert few < 900 < many


def test_an_old_dead_letter_hides_no_event_that_aborted_ones_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    later = OURS._replace(progress=Progress(0, 547))
    for distance in (900, 2_500, 15_000):
        outputs = (DEADLETTERS, 0, 2, OURS), (EVENTS, 0, distance, later)
        tail = FakeTail(*outputs, num_offsets=100_000, aborted=True)
        assert progress(tail, monkeypatch) == {TWEETS: later.progress}
        assert all(far == [TopicPartition(EVENTS, 0)] for far, _ in tail.asked[1:])


def test_an_old_event_hides_no_later_dead_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    later = OURS._replace(progress=Progress(0, 547))
    outputs = (EVENTS, 0, 2, OURS), (DEADLETTERS, 0, 900, later)
    assert progress(FakeTail(*outputs, num_offsets=100_000), monkeypatch) == {TWEETS: later.progress}


def test_of_a_log_that_is_known_whole_nothing_more_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    tail = FakeTail((EVENTS, 0, 2, OURS), num_offsets=50)
    assert progress(tail, monkeypatch, [TWEETS, THIRD]) == {TWEETS: OURS.progress}
    assert len(tail.asked) == 1


def test_without_transactions_or_ids_of_topics_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    tail = FakeTail((EVENTS, 0, 2, OURS))
    assert progress(tail, monkeypatch, delivery="at_least_once") == {}
    assert progress(tail, monkeypatch, topic_ids={"tweets": ""}) == {}
    assert not tail.asked


def test_topics_that_no_broker_knows_are_not_taken_for_empty_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DependencyError):
        progress(FakeTail(), monkeypatch, brokers=FakeBrokers(0), request_timeout_s=1)


# The group's offsets


class FakeGroup:
    """Tells these offsets, one answer after the other, and the last one again and again."""

    def __init__(self, *answers: dict[TopicPartition, GroupOffset | None]) -> None:
        self.answers = list(answers)
        self.asked: list[set[TopicPartition]] = []

    async def offsets(self, tps: Collection[TopicPartition]) -> GroupOffsets:
        self.asked.append(set(tps))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return GroupOffsets({tp: offset for tp, offset in answer.items() if tp in tps}, set())


class FakeLog:
    """Of topics that have these ids now."""

    def __init__(self, **ids: str) -> None:
        self.ids = IDS | ids

    async def topic_ids(self, names: Collection[str]) -> dict[str, str]:
        return {name: self.ids[name] for name in names}


def at(offset: int) -> GroupOffset:
    return GroupOffset(offset, TOPIC.topic_id)


def read(
    group: FakeGroup, published: dict[TopicPartition, Progress], timeout_s: float = 60, log: Any = None
) -> tuple[dict[TopicPartition, GroupOffset | None], float]:
    """The proven offset of tweets-0, and how many partitions are continued without the group's."""
    metrics = new_observers().metrics
    settings = load_settings(transaction_timeout_s=timeout_s, commit_timeout_s=1) if timeout_s else None
    any_group: Any = group
    proven = ProvenOffsets(settings or load_settings(), any_group, log or FakeLog(), metrics, published, IDS)
    if not timeout_s:
        proven._timeout_s = -1.0
    found, _ = asyncio.run(asyncio.wait_for(proven.read({TWEETS}), 30))
    return {tp: one.offset for tp, one in found.items()}, value_of(metrics, "sentiment_position_kept_total")


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOADING_RETRY_S", 0.0)


@pytest.mark.parametrize("told", [at(3), None])
def test_an_offset_below_what_is_published_is_asked_for_until_it_is_loaded(told: GroupOffset | None) -> None:
    group = FakeGroup({TWEETS: told}, {TWEETS: told}, {TWEETS: at(8)})
    assert read(group, {TWEETS: Progress(0, 7)}) == ({TWEETS: at(8)}, 0)
    assert len(group.asked) == 3


def test_a_neighbour_s_offset_that_is_not_loaded_holds_all_answers_back() -> None:
    published = {TopicPartition("tweets", 1): Progress(0, 50)}
    first = {TWEETS: at(3), TopicPartition("tweets", 1): at(9)}
    group = FakeGroup(first, {TWEETS: at(8), TopicPartition("tweets", 1): at(50)})
    assert read(group, published) == ({TWEETS: at(8)}, 0)


def test_what_is_published_proves_the_offset_where_the_coordinator_never_loads_it() -> None:
    assert read(FakeGroup({TWEETS: at(3)}), {TWEETS: Progress(4, 7)}, timeout_s=0) == ({TWEETS: at(7)}, 1)


def test_the_offsets_of_a_topic_that_was_deleted_are_not_waited_for() -> None:
    group = FakeGroup({TWEETS: None})
    assert read(group, {TWEETS: Progress(0, 7)}, log=FakeLog(tweets="cluster/later")) == ({TWEETS: None}, 0)


def test_each_of_waiting_and_going_on_is_said_once_however_often_it_is_asked(caplog: pytest.LogCaptureFixture) -> None:
    any_group: Any = FakeGroup({TWEETS: at(3)})
    any_log: Any = FakeLog()
    proven = ProvenOffsets(load_settings(), any_group, any_log, new_observers().metrics, {TWEETS: Progress(0, 7)}, IDS)
    proven._timeout_s = -1.0
    for _ in range(3):
        asyncio.run(proven.read({TWEETS}))
    assert [record.getMessage().rpartition("; ")[2] for record in caplog.records] == [
        "waiting for its coordinator to load them",
        "going on where that ends",
    ]


@pytest.mark.parametrize("told", [GroupOffset(3), GroupOffset(3, "cluster/0"), at(7), at(9)])
def test_an_offset_that_was_set_by_hand_or_is_not_behind_stands_at_once(told: GroupOffset) -> None:
    group = FakeGroup({TWEETS: told})
    assert read(group, {TWEETS: Progress(0, 7)}) == ({TWEETS: told}, 0)
    assert len(group.asked) == 1
