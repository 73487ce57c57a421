"""Offsets that are committed without an event: behind an idle log's markers, and of skipped records."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from model import InferenceEngine
from tests.factories.partitions import TOPIC, FakePublisher, new_partition
from tests.factories.records import TWEETS, Record, text_record
from tests.metric_names import value_of
from tests.unit.processing.pipeline.scene import EndedError, Scene, events, run, texts
from worker.errors import UndecidedCommitError
from worker.kafka.group_offsets import GroupOffset
from worker.kafka.producer import FencedError
from worker.records.types import TopicPartition


def idle(scene: Scene, idle_at: dict[TopicPartition, int], *batches: Sequence[Record], times: int = 1) -> None:
    """Process `batches`; then nothing is in flight, and the consumer stands where it says."""

    async def scenario() -> None:
        await scene.assign()
        for batch in batches:
            await scene.process(batch)
        scene.source.idle_at = idle_at
        for _ in range(times):
            await scene.skip()

    run(scenario())


def test_the_groups_offset_moves_behind_markers_once(tiny_engine: InferenceEngine) -> None:
    publisher = FakePublisher()
    partition = new_partition(publisher=publisher)
    idle(Scene(tiny_engine, partition), {TWEETS: 5}, texts(4), times=3)
    assert publisher.offsets == [{TWEETS: 4}, {TWEETS: 5}]
    assert publisher.published[1] == ({}, {TWEETS: GroupOffset(5, TOPIC.topic_id)})
    assert (partition.taken, partition.applied, partition.committed) == (5, 5, 5)


def test_a_groups_offset_beyond_the_end_of_a_log_that_was_cut_comes_back(tiny_engine: InferenceEngine) -> None:
    publisher = FakePublisher()
    partition = new_partition(publisher=publisher, position=4, start=4, committed=4, group_offset=90)
    idle(Scene(tiny_engine, partition), {TWEETS: 4}, times=3)
    assert publisher.offsets == [{TWEETS: 4}]


def test_where_the_group_has_what_is_done_nothing_is_committed(tiny_engine: InferenceEngine) -> None:
    publisher = FakePublisher()
    idle(Scene(tiny_engine, new_partition(publisher=publisher)), {TWEETS: 4}, texts(4))
    assert publisher.offsets == [{TWEETS: 4}]


def test_records_that_are_in_flight_are_not_passed_over(tiny_engine: InferenceEngine) -> None:
    publisher = FakePublisher()
    idle(Scene(tiny_engine, new_partition(publisher=publisher)), {}, texts(4))
    assert publisher.offsets == [{TWEETS: 4}]


def test_a_rebuild_under_way_is_not_passed_over(tiny_engine: InferenceEngine) -> None:
    publisher = FakePublisher()
    partition = new_partition(publisher=publisher, committed=4, group_offset=90)
    idle(Scene(tiny_engine, partition), {TWEETS: 0})
    assert publisher.offsets == []
    assert partition.taken == 0


def test_an_offset_that_is_refused_moves_nothing(tiny_engine: InferenceEngine) -> None:
    partition = new_partition(publisher=FakePublisher(FencedError("47")))
    scene = Scene(tiny_engine, partition)
    idle(scene, {TWEETS: 5})
    assert not partition.owned
    assert partition.committed == 0


def test_an_offset_that_is_undecided_ends_the_process(tiny_engine: InferenceEngine, ended: list[BaseException]) -> None:
    error = UndecidedCommitError("undecided")
    with pytest.raises(EndedError):
        idle(Scene(tiny_engine, new_partition(publisher=FakePublisher(error))), {TWEETS: 5})
    assert ended == [error]


SKIPPING = {"tweets": {"skip": [{"path": "retweet"}], "null_values": "skip"}}


def retweet(offset: int, partition: int = 0) -> Record:
    """A record that SKIPPING skips."""
    record = text_record(offset, "a", "great flight", retweet=True)
    record.partition = partition
    return record


def test_a_skipped_record_moves_the_offset_and_nothing_else(tiny_engine: InferenceEngine) -> None:
    publisher = FakePublisher()
    partition = new_partition(publisher=publisher)
    scene = Scene(tiny_engine, partition, payloads=SKIPPING)
    scene.run([text_record(0, "a", "great flight"), retweet(1), Record(2, b"a", None), text_record(3, "a", "not good")])
    assert [(event["id"], event["state"]["num_records"]) for event in events(publisher)] == [
        ("tweets-0-0", 1),
        ("tweets-0-3", 2),
    ]
    assert publisher.offsets == [{TWEETS: 4}]
    counts = {
        outcome: value_of(scene.metrics, "sentiment_records_total", topic="tweets", outcome=outcome)
        for outcome in ("scored", "skipped", "erased", "dead_letter")
    }
    assert counts == {"scored": 2, "skipped": 2, "erased": 0, "dead_letter": 0}


def test_a_batch_of_skipped_records_commits_its_offsets(tiny_engine: InferenceEngine) -> None:
    publisher = FakePublisher()
    partition = new_partition(publisher=publisher)
    scene = Scene(tiny_engine, partition, payloads=SKIPPING)
    scene.run([retweet(0), retweet(1)])
    assert (publisher.outputs, publisher.offsets) == ([], [{TWEETS: 2}])
    assert (partition.applied, partition.committed, scene.source.num_done) == (2, 2, 2)


def test_skipped_records_leave_a_replay_as_it_was_and_are_not_counted_again(tiny_engine: InferenceEngine) -> None:
    publisher = FakePublisher()
    partition = new_partition(publisher=publisher, committed=3)
    scene = Scene(tiny_engine, partition, payloads=SKIPPING)
    scene.run([text_record(0, "a", "great flight"), retweet(1), text_record(2, "b", "today"), retweet(3)])
    assert (publisher.outputs, publisher.offsets) == ([], [{TWEETS: 4}])
    entry = partition.entry("a")
    assert entry is not None
    assert entry.num_records == 1
    assert value_of(scene.metrics, "sentiment_records_total", topic="tweets", outcome="skipped") == 1
    assert value_of(scene.metrics, "sentiment_rebuilt_records_total") == 3
