"""The calls of a take-over and of a rebuild, with fakes for Kafka and Redis; the real ones are in tests/system."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Collection
from types import SimpleNamespace
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.factories.fake_store import FakeStore, Meta
from tests.factories.partitions import TOPIC, FakePublisher, new_entry, new_observers, new_partition, take, until
from tests.factories.records import TWEETS
from tests.metric_names import value_of
from worker.errors import DependencyError, OwnershipError
from worker.kafka.group import GroupOffsets
from worker.kafka.group_offsets import ExpelledError, GroupOffset
from worker.kafka.log import LogBounds
from worker.ownership import predecessors
from worker.ownership import takeover as takeover_module
from worker.ownership.partition import Partition
from worker.ownership.takeover import TakeOver
from worker.process import CrashPoints
from worker.records.types import ResetReason, TopicPartition
from worker.settings import load_settings
from worker.state.claims import Fence, TopicInfo, Verdict

BOUND_S = 60
SECOND = TopicPartition("tweets", 1)
EARLIER = "cluster/0"


class FakeGroup:
    """What the coordinator says. holds: transactional id -> the partitions whose offsets it holds."""

    def __init__(self) -> None:
        self.committed: dict[TopicPartition, GroupOffset | None] = {}
        self.holds: dict[str, set[TopicPartition]] = {}
        self.ended: list[str] = []
        self.memberships: list[bool] = []
        self.num_asked = 0

    async def offsets(self, tps: Collection[TopicPartition]) -> GroupOffsets:
        self.num_asked += 1
        unstable = {tp for held in self.holds.values() for tp in held if tp in tps}
        return GroupOffsets({tp: self.committed.get(tp) for tp in tps if tp not in unstable}, unstable)

    async def is_member(self, _: Any) -> bool:
        return self.memberships.pop(0) if self.memberships else True

    async def end_transaction(self, transactional_id: str) -> None:
        self.ended.append(transactional_id)
        self.holds.pop(transactional_id, None)

    async def transactions(self, states: Collection[str]) -> dict[str, str]:
        return dict.fromkeys(self.holds, "Ongoing") if "Ongoing" in states else {}

    async def transaction_state(self, _: str) -> str:
        return "Ongoing"

    async def unstable(self, _: Collection[str]) -> set[TopicPartition]:
        return set()


class FakeLog:
    """What the leaders say: the same of every partition."""

    def __init__(self) -> None:
        self.topics = {"tweets": TOPIC}
        self.log = LogBounds(0, 50, 0, TOPIC.topic_id)
        self.gone: set[TopicPartition] = set()
        self.error: Exception | None = None

    async def topic_ids(self, names: Collection[str]) -> dict[str, str]:
        if self.error is not None:
            raise self.error
        return {name: self.topics[name].topic_id for name in names if name in self.topics}

    async def partition_counts(self, names: Collection[str]) -> dict[str, int]:
        return {name: self.topics[name].num_partitions for name in names if name in self.topics}

    async def bounds(self, tps: Collection[TopicPartition]) -> dict[TopicPartition, LogBounds]:
        return {tp: self.log for tp in tps if tp not in self.gone}


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A cluster: its `group` and its `log`."""
    group, log = FakeGroup(), FakeLog()
    monkeypatch.setattr(takeover_module, "Group", lambda *_: group)
    monkeypatch.setattr(takeover_module, "Log", lambda *_: log)
    monkeypatch.setattr(takeover_module, "_REDIS_RETRY_S", 0.001)
    monkeypatch.setattr(predecessors, "_UNSTABLE_RETRY_S", 0.001)
    return SimpleNamespace(group=group, log=log)


class Scenario:
    """A take-over of tweets-0, and of tweets-1 on request. Its tokens are 0, 1, 2, ..."""

    def __init__(self, store: Any, **flags: Any) -> None:
        self.metrics, _ = new_observers()
        self.publisher = FakePublisher()
        no_brokers: Any = None
        settings, tokens = load_settings(**flags), map(str, itertools.count())
        self.takeover = TakeOver(
            settings, no_brokers, store, self.metrics, CrashPoints(None), new_token=lambda: next(tokens)
        )

    def take_all(self, *tps: TopicPartition) -> list[dict[TopicPartition, Partition]]:
        """What becomes ready, one after the other."""

        async def scenario() -> list[dict[TopicPartition, Partition]]:
            return [owned async for owned in self.takeover.take_over(tps or [TWEETS], self.publisher)]

        return asyncio.run(asyncio.wait_for(scenario(), BOUND_S))

    def take_over(self) -> Partition:
        (owned,) = self.take_all()
        return owned[TWEETS]


def flushed_store(position: int | None, topic_id: str = TOPIC.topic_id, predecessor: str = "") -> FakeStore:
    """A Redis in which an earlier owner left states of both partitions at `position`."""
    store = FakeStore()
    for tp in (TWEETS, SECOND):
        store.metas[tp] = Meta("earlier", predecessor, topic_id, 1, "lineage", position)
    return store


def at(offset: int) -> GroupOffset:
    return GroupOffset(offset, TOPIC.topic_id)


def test_states_in_redis_are_gone_on_with_under_a_token_of_our_own(kafka: SimpleNamespace) -> None:
    kafka.group.committed[TWEETS] = at(9)
    store = flushed_store(position=7)
    partition = Scenario(store).take_over()
    assert (partition.taken, partition.applied, partition.committed, partition.position) == (7, 7, 9, 7)
    assert partition.fence == store.fence == Fence("0", "lineage", 7)
    assert not partition.complete
    assert not partition.offset_is_behind


def test_without_states_a_partition_begins_complete_and_empty(kafka: SimpleNamespace) -> None:
    store = FakeStore()
    partition = Scenario(store).take_over()
    assert partition.complete
    assert (partition.taken, partition.position) == (0, None)
    assert partition.fence == store.fence
    assert partition.first_seen_reset(b"key") is None
    assert store.metas[TWEETS].transactional_id == "sentiment:7:member:0"
    assert kafka.group.ended == []


def test_states_are_rebuilt_under_a_new_lineage_whose_name_says_that_the_past_is_cut(kafka: SimpleNamespace) -> None:
    kafka.group.committed[TWEETS] = at(12)
    kafka.log.log = LogBounds(10, 50, 10, TOPIC.topic_id)
    store = flushed_store(position=3)
    partition = Scenario(store).take_over()
    assert (partition.taken, partition.committed) == (10, 12)
    assert partition.first_seen_reset(b"key") is ResetReason.HISTORY_LOST
    assert partition.fence == store.fence
    assert partition.fence.lineage != "lineage"


def test_an_offset_that_is_gone_is_counted(kafka: SimpleNamespace) -> None:
    scene = Scenario(flushed_store(position=7))
    partition = scene.take_over()
    assert partition.committed == 7
    assert partition.offset_is_behind
    assert value_of(scene.metrics, "sentiment_position_kept_total") == 1


def test_a_topic_that_was_created_again_begins_at_its_start_and_is_counted(kafka: SimpleNamespace) -> None:
    scene = Scenario(store := flushed_store(position=7, topic_id=EARLIER))
    partition = scene.take_over()
    assert (partition.taken, partition.committed, partition.position) == (0, 0, None)
    assert partition.first_seen_reset(b"key") is ResetReason.TOPIC_RECREATED
    assert store.metas[TWEETS].topic_id == TOPIC.topic_id
    assert value_of(scene.metrics, "sentiment_log_changes_total", change="topic_recreated") == 1


def test_a_log_that_was_cut_is_gone_on_with_at_its_end_and_counted(kafka: SimpleNamespace) -> None:
    kafka.group.committed[TWEETS] = at(60)
    scene = Scenario(flushed_store(position=55))
    partition = scene.take_over()
    assert (partition.taken, partition.committed) == (0, 50)
    assert partition.offset_is_behind
    assert partition.first_seen_reset(b"key") is ResetReason.LOG_TRUNCATED
    assert value_of(scene.metrics, "sentiment_log_changes_total", change="log_truncated") == 1


@pytest.mark.parametrize("topic_id", [EARLIER, TOPIC.topic_id], ids=["created again", "truncated"])
def test_where_the_operator_wants_to_decide_a_lost_log_stops_the_worker(kafka: SimpleNamespace, topic_id: str) -> None:
    store = flushed_store(position=60, topic_id=topic_id)
    before = store.metas[TWEETS].lineage, store.metas[TWEETS].position
    with pytest.raises(OwnershipError, match=r"tweets-0: .*--reset-offsets.*--on-lost-log resume"):
        Scenario(store, on_lost_log="stop").take_over()
    assert (store.metas[TWEETS].lineage, store.metas[TWEETS].position) == before


def test_records_that_retention_removed_do_not_stop_it(kafka: SimpleNamespace) -> None:
    kafka.group.committed[TWEETS] = at(3)
    kafka.log.log = LogBounds(10, 50, 10, TOPIC.topic_id)
    scene = Scenario(FakeStore(), on_lost_log="stop")
    assert scene.take_over().committed == 10
    assert value_of(scene.metrics, "sentiment_log_changes_total", change="records_gone") == 1


def test_states_that_were_flushed_too_long_ago_are_rebuilt(kafka: SimpleNamespace) -> None:
    kafka.group.committed[TWEETS] = at(7)
    store = flushed_store(position=7)
    store.metas[TWEETS].expired = True
    partition = Scenario(store).take_over()
    assert (partition.taken, partition.committed, partition.position) == (0, 7, None)


def test_partitions_of_topics_that_do_not_exist_are_left_out(kafka: SimpleNamespace) -> None:
    (owned,) = Scenario(FakeStore()).take_all(TWEETS, TopicPartition("nowhere", 0))
    assert owned.keys() == {TWEETS}
    kafka.log.gone = {TWEETS}
    assert Scenario(FakeStore()).take_all(TWEETS) == []


def test_a_partition_remembers_how_many_partitions_its_topic_had_when_its_states_began(kafka: SimpleNamespace) -> None:
    keys = [str(number).encode() for number in range(100)]
    store = flushed_store(position=0)
    store.metas[TWEETS].num_partitions = 3
    del store.metas[SECOND]
    kafka.log.topics = {"tweets": TopicInfo(TOPIC.topic_id, 8)}
    (owned,) = Scenario(store).take_all(TWEETS, SECOND)
    for partition in owned.values():
        assert ResetReason.MOVED in {partition.first_seen_reset(key) for key in keys}


# Predecessors


def test_offsets_that_a_predecessor_holds_are_read_once_its_transaction_is_ended(kafka: SimpleNamespace) -> None:
    kafka.group.holds = {"sentiment:6:dead:0": {TWEETS}}
    kafka.group.committed[TWEETS] = at(9)
    partition = Scenario(flushed_store(position=7, predecessor="sentiment:6:dead:0")).take_over()
    assert kafka.group.ended == ["sentiment:6:dead:0"]
    assert partition.committed == 9


def test_a_predecessor_whom_redis_forgot_is_found_among_the_open_transactions(kafka: SimpleNamespace) -> None:
    kafka.group.holds = {"sentiment:6:dead:0": {TWEETS}, "sentiment:8:later:0": set()}
    Scenario(FakeStore()).take_over()
    assert kafka.group.ended == ["sentiment:6:dead:0"]


def test_partitions_whose_offsets_are_certain_do_not_wait_for_the_others(kafka: SimpleNamespace) -> None:
    kafka.group.holds = {"sentiment:6:dead:0": {SECOND}}
    first, second = Scenario(flushed_store(7)).take_all(TWEETS, SECOND)
    assert (first.keys(), second.keys()) == ({TWEETS}, {SECOND})


def test_a_predecessor_that_holds_no_offsets_yet_is_ended_too_since_its_records_hold_back_readers(
    kafka: SimpleNamespace,
) -> None:
    Scenario(flushed_store(7, predecessor="sentiment:6:dead:0")).take_over()
    assert kafka.group.ended == ["sentiment:6:dead:0"]


def test_our_own_transaction_is_never_ended(kafka: SimpleNamespace) -> None:
    kafka.group.holds = {"sentiment:7:member:0": {TWEETS}}
    scene = Scenario(flushed_store(7, predecessor="sentiment:7:member:0"))

    async def scenario() -> None:
        taking = asyncio.create_task(anext(scene.takeover.take_over([TWEETS], scene.publisher)))
        await until(lambda: kafka.group.num_asked >= 5)
        kafka.group.holds = {}
        await taking

    asyncio.run(asyncio.wait_for(scenario(), BOUND_S))
    assert kafka.group.ended == []


def test_a_transaction_that_does_not_end_is_named_with_what_to_do(
    kafka: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka.group.holds = {"of another program": {TWEETS}}
    monkeypatch.setattr(predecessors, "_BROKER_CHECK_S", 0.0)
    scene = Scenario(FakeStore(), transaction_timeout_s=0.05, commit_timeout_s=0.01)
    with pytest.raises(DependencyError, match=r"tweets-0 does not end.*kafka-transactions\.sh"):
        scene.take_over()


# Claims that do not stand


def test_a_claim_that_is_refused_is_made_again_and_planned_again(kafka: SimpleNamespace) -> None:
    store = FakeStore(None, Verdict.CHANGED)  # the claim; its begin
    partition = Scenario(store).take_over()
    assert partition.fence == store.fence
    # Tokens 0 and 2 are of the claims, 1 and 3 of the lineages.
    assert partition.fence.owner == "3"


def test_a_begin_whose_answer_was_lost_is_followed_by_another_claim(kafka: SimpleNamespace) -> None:
    class Deaf(FakeStore):
        lost = False

        async def begin(self, *arguments: Any) -> Verdict:
            verdict = await super().begin(*arguments)
            if not self.lost:
                self.lost = True
                raise RedisConnectionError("hung up")
            return verdict

    store = Deaf()
    partition = Scenario(store).take_over()
    assert partition.fence == store.fence


def test_a_worker_on_which_the_group_does_not_count_stops_claiming(kafka: SimpleNamespace) -> None:
    kafka.group.memberships = [True, False]
    with pytest.raises(ExpelledError, match="tweets-0"):
        Scenario(FakeStore(None, Verdict.CHANGED, None, Verdict.CHANGED)).take_over()


# Servers that are away


def test_a_redis_that_answers_at_the_second_try_is_taken(kafka: SimpleNamespace) -> None:
    assert Scenario(FakeStore(RedisConnectionError("away"))).take_over().taken == 0


def test_a_redis_that_stays_away_is_named(kafka: SimpleNamespace) -> None:
    store = FakeStore(*[RedisConnectionError("away")] * 10_000)
    with pytest.raises(DependencyError, match="Redis"):
        Scenario(store, session_timeout_s=0.3, heartbeat_interval_s=0.05).take_over()


def test_a_kafka_that_is_away_is_named(kafka: SimpleNamespace) -> None:
    kafka.log.error = DependencyError("Kafka", "here", "does not answer", "Start it")
    with pytest.raises(DependencyError, match="Kafka"):
        Scenario(FakeStore()).take_over()


# Recovery


def recovered(scene: Scenario, partition: Partition) -> bool:
    return asyncio.run(asyncio.wait_for(scene.takeover.recover(partition), BOUND_S))


def flushed_partition(*streams: str, **changes: Any) -> Partition:
    partition = new_partition(**changes)
    take(partition, 1)
    partition.apply({stream: new_entry() for stream in streams}, 1)
    partition.flushed(partition.snapshot())
    return partition


def test_states_that_are_not_all_in_memory_are_rebuilt_from_the_log(kafka: SimpleNamespace) -> None:
    store = FakeStore()
    partition = new_partition(position=7, start=7, committed=7)
    assert recovered(Scenario(store), partition)
    assert (partition.taken, partition.committed, partition.position) == (0, 7, None)
    assert partition.fence == store.fence


def test_states_that_are_all_in_memory_are_kept_and_written_under_a_new_lineage(kafka: SimpleNamespace) -> None:
    store, partition = FakeStore(), flushed_partition("a")
    assert not recovered(Scenario(store), partition)
    assert partition.fence == store.fence
    assert partition.fence.lineage != "one"
    assert partition.snapshot().entries.keys() == {"a"}
    assert partition.taken == 1


def test_what_a_lineage_has_to_report_outlives_its_recovery(kafka: SimpleNamespace) -> None:
    partition = flushed_partition("a", lineage="one~moved")
    recovered(Scenario(FakeStore()), partition)
    assert partition.first_seen_reset(None) is ResetReason.MOVED


def test_states_that_nobody_touched_are_gone_on_with_under_another_claim(kafka: SimpleNamespace) -> None:
    store, partition = FakeStore(), flushed_partition("a")
    store.metas[TWEETS] = Meta("somebody", "", TOPIC.topic_id, 1, "one", 1)
    partition.mark_lost()
    assert not recovered(Scenario(store), partition)
    assert not partition.lost
    assert partition.fence == store.fence == Fence("0", "one", 1)
    assert partition.num_dirty == 0


def test_a_redis_that_was_rolled_back_is_caught_up_with_from_where_it_stands(kafka: SimpleNamespace) -> None:
    store = FakeStore()
    store.metas[TWEETS] = Meta("one", "", TOPIC.topic_id, 1, "one", 3)
    partition = new_partition(position=7, start=7, committed=7)
    assert recovered(Scenario(store), partition)
    assert (partition.taken, partition.committed, partition.position) == (3, 7, 3)
    assert not partition.complete


def test_states_of_which_one_cannot_be_decoded_are_rebuilt_although_the_claim_stands(kafka: SimpleNamespace) -> None:
    store = FakeStore()
    store.metas[TWEETS] = Meta("one", "", TOPIC.topic_id, 1, "one", 7)
    partition = new_partition(position=7, start=7, committed=7)
    bounded = asyncio.wait_for(Scenario(store).takeover.recover(partition, unreadable=True), BOUND_S)
    assert asyncio.run(bounded)
    assert (partition.taken, partition.committed, partition.position) == (0, 7, None)
    assert partition.fence == store.fence
    assert partition.fence.lineage != "one"


def test_a_recovery_claims_nothing_once_the_group_goes_on_without_us(kafka: SimpleNamespace) -> None:
    kafka.group.memberships = [False]
    store, partition = FakeStore(), new_partition()
    before = partition.fence
    with pytest.raises(ExpelledError):
        recovered(Scenario(store), partition)
    assert partition.fence == before
    assert store.metas == {}


def test_a_recovery_whose_claim_is_replaced_claims_again(kafka: SimpleNamespace) -> None:
    store, partition = FakeStore(None, Verdict.CHANGED), flushed_partition("a")
    assert not recovered(Scenario(store), partition)
    assert partition.fence == store.fence


# Shadows


def test_a_shadow_leaves_partitions_that_workers_of_its_model_serve(kafka: SimpleNamespace) -> None:
    kafka.group.committed[SECOND] = GroupOffset(7)
    store = flushed_store(7)
    store.served = {TWEETS}
    scene = Scenario(store, shadow=True)
    (owned,) = scene.take_all(TWEETS, SECOND)
    assert set(owned) == {SECOND}


def test_a_shadow_lets_go_of_a_partition_whose_states_a_worker_has_taken(kafka: SimpleNamespace) -> None:
    kafka.group.committed[TWEETS] = GroupOffset(7)
    store = flushed_store(7)
    scene = Scenario(store, shadow=True)
    partition = scene.take_over()
    store.served, store.metas[TWEETS].owner = {TWEETS}, "worker"
    assert not asyncio.run(scene.takeover.recover(partition))
    assert not partition.owned
    assert store.metas[TWEETS].owner == "worker"


def test_a_shadow_keeps_the_states_that_a_worker_has_brought_beyond_its_own_offset(kafka: SimpleNamespace) -> None:
    kafka.group.committed[TWEETS] = GroupOffset(3)
    partition = Scenario(flushed_store(7), shadow=True).take_over()
    assert (partition.taken, partition.committed, partition.fence.lineage) == (7, 7, "lineage")


def test_neither_shadow_nor_worker_ends_what_the_other_has_open(kafka: SimpleNamespace) -> None:
    Scenario(flushed_store(7, predecessor="sentiment.shadow.ff:6:dead:0")).take_over()
    Scenario(flushed_store(7, predecessor="sentiment:6:alive:0"), shadow=True, group="sentiment.shadow.ff").take_over()
    assert kafka.group.ended == []
