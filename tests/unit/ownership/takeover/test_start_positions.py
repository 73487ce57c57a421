"""Where a taken partition goes on: with states in Redis, at a rebuild, or after its log has changed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.factories.fake_store import FakeStore
from tests.factories.partitions import TOPIC
from tests.factories.records import TWEETS
from tests.metric_names import value_of
from tests.unit.ownership.takeover.scenario import SECOND, Scenario, at, flushed_store
from worker.errors import OwnershipError
from worker.kafka.group_offsets import GroupOffset
from worker.kafka.log import LogBounds
from worker.kafka.progress import Progress
from worker.records.types import ResetReason, TopicPartition
from worker.state.claims import Fence, TopicInfo

EARLIER = "cluster/0"


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


def test_an_offset_behind_what_is_published_is_that_of_a_coordinator_that_loads(kafka: SimpleNamespace) -> None:
    kafka.group.committed[TWEETS] = at(3)
    kafka.published.said[TWEETS] = Progress(0, 9)
    scene = Scenario(flushed_store(position=7), transaction_timeout_s=1.1, commit_timeout_s=1)
    partition = scene.take_over()
    assert (partition.taken, partition.committed, partition.complete) == (7, 9, False)
    assert partition.offset_is_behind
    assert kafka.published.asked == [({"tweets": TOPIC.topic_id}, {TWEETS})]


def test_an_offset_that_was_set_back_by_hand_is_committed_as_by_hand_until_an_output_says_so(
    kafka: SimpleNamespace,
) -> None:
    kafka.group.committed[TWEETS] = GroupOffset(3)
    kafka.published.said[TWEETS] = Progress(0, 9)
    partition = Scenario(flushed_store(position=7)).take_over()
    assert partition.committed == 3
    assert partition.group_offset_at(4, with_progress=False) == GroupOffset(4)
    assert partition.group_offset_at(4, with_progress=True) == at(4)
    assert partition.progress_at(4) == Progress(1, 4)
    partition.progress_published()
    assert partition.group_offset_at(5, with_progress=False) == at(5)


def test_states_of_a_redis_from_before_the_log_was_cut_are_rebuilt_although_the_log_has_grown_beyond_them(
    kafka: SimpleNamespace,
) -> None:
    kafka.group.committed[TWEETS] = at(9)
    kafka.published.said[TWEETS] = Progress(1, 9)
    store = flushed_store(position=7)
    store.metas[TWEETS].num_resets = 0
    scene = Scenario(store)
    partition = scene.take_over()
    assert (partition.taken, partition.committed, partition.position) == (0, 9, None)
    assert value_of(scene.metrics, "sentiment_log_changes_total", change="states_of_another_log") == 1
    assert partition.snapshot().num_resets == 1


def test_states_written_since_the_log_was_cut_are_gone_on_with(kafka: SimpleNamespace) -> None:
    kafka.group.committed[TWEETS] = at(9)
    kafka.published.said[TWEETS] = Progress(1, 9)
    store = flushed_store(position=7)
    store.metas[TWEETS].num_resets = 1
    partition = Scenario(store).take_over()
    assert (partition.taken, partition.committed, partition.position) == (7, 9, 7)


def test_a_shadow_whose_group_is_another_neither_notes_nor_believes_how_often_an_offset_went_back(
    kafka: SimpleNamespace,
) -> None:
    kafka.group.committed[TWEETS] = at(9)
    kafka.published.said[TWEETS] = Progress(1, 9)
    store = flushed_store(position=9)
    store.metas[TWEETS].num_resets = 0
    partition = Scenario(store, shadow=True).take_over()
    assert (partition.taken, partition.committed, partition.position) == (9, 9, 9)
    assert partition.snapshot().num_resets is None


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
    assert partition.group_offset_at(50, with_progress=False) == GroupOffset(50), "outputs that came late say more"
    assert partition.progress_at(51) == Progress(1, 51)


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


def test_a_shadow_keeps_the_states_that_a_worker_has_brought_beyond_its_own_offset(kafka: SimpleNamespace) -> None:
    kafka.group.committed[TWEETS] = GroupOffset(3)
    partition = Scenario(flushed_store(7), shadow=True).take_over()
    assert (partition.taken, partition.committed, partition.fence.lineage) == (7, 7, "lineage")
