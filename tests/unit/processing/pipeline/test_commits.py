"""What a micro-batch publishes and commits, and what becomes of it where Kafka refuses."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from model import InferenceEngine
from tests.factories.partitions import TOPIC, FakePublisher, new_partition
from tests.factories.records import START_MS, TWEETS, Record, text_record
from tests.metric_names import value_of
from tests.unit.processing.pipeline.scene import SECOND, EndedError, Scene, events, ids, run, texts
from worker.errors import UndecidedCommitError
from worker.kafka.group_offsets import ExpelledError, GoneError, GroupOffset
from worker.kafka.producer import FencedError
from worker.kafka.progress import Progress, Said, read_progress
from worker.kafka.transport.microbatch import MicroBatch
from worker.records.codec import format_time, parse_time


def test_every_record_of_a_batch_yields_its_event_and_moves_the_offset(tiny_engine: InferenceEngine) -> None:
    publisher = FakePublisher()
    partition = new_partition(publisher=publisher)
    scene = Scene(tiny_engine, partition)
    scene.run(texts(4), texts(3, start=4))
    assert ids(publisher) == [f"tweets-0-{n}" for n in range(7)]
    assert publisher.offsets == [{TWEETS: 4}, {TWEETS: 7}]
    assert (partition.taken, partition.applied, partition.committed) == (7, 7, 7)
    assert scene.source.num_done == 7
    assert value_of(scene.metrics, "sentiment_records_total", topic="tweets", outcome="scored") == 7


def test_all_partitions_of_a_batch_are_one_transaction_which_notes_the_topic_with_each_offset(
    tiny_engine: InferenceEngine,
) -> None:
    publisher = FakePublisher()
    partitions = [new_partition(tp=tp, publisher=publisher) for tp in (TWEETS, SECOND)]
    Scene(tiny_engine, *partitions).run([*texts(2), *texts(3, partition=1)])
    ((outputs, offsets),) = publisher.published
    assert {tp: len(of_tp) for tp, of_tp in outputs.items()} == {TWEETS: 2, SECOND: 3}
    assert offsets == {TWEETS: GroupOffset(2, TOPIC.topic_id), SECOND: GroupOffset(3, TOPIC.topic_id)}


def test_the_last_event_and_dead_letter_of_a_partition_say_how_far_its_group_is(
    tiny_engine: InferenceEngine,
) -> None:
    publisher = FakePublisher()
    partitions = [new_partition(tp=tp, publisher=publisher) for tp in (TWEETS, SECOND)]
    Scene(tiny_engine, *partitions).run([*texts(2), *texts(3, partition=1), Record(3, None, b"{", partition=1)])
    ((outputs, _),) = publisher.published
    said = [read_progress(output.headers) for tp in (TWEETS, SECOND) for output in outputs[tp]]
    first, second = (
        Said("sentiment", tp, TOPIC.topic_id, Progress(0, offset)) for tp, offset in ((TWEETS, 2), (SECOND, 4))
    )
    assert said == [None, first, None, None, second, second]
    assert outputs[SECOND][-1].topic.endswith("deadletters")


def test_without_transactions_no_output_says_it(tiny_engine: InferenceEngine) -> None:
    publisher = FakePublisher()
    Scene(tiny_engine, new_partition(publisher=publisher), delivery="at_least_once").run(texts(2))
    assert [read_progress(output.headers) for output in publisher.outputs] == [None, None]


def test_after_the_log_was_cut_offsets_are_committed_as_by_hand_until_an_event_says_so(
    tiny_engine: InferenceEngine,
) -> None:
    publisher = FakePublisher()
    partition = new_partition(publisher=publisher, start=6, committed=6)
    partition.reset(partition.fence, 2, 2)
    scene = Scene(tiny_engine, partition)
    scene.run([Record(2, b"someone", None)], texts(1, start=3), [Record(4, b"someone", None)])
    assert [offsets for _, offsets in publisher.published] == [
        {TWEETS: GroupOffset(3)},
        {TWEETS: GroupOffset(4, TOPIC.topic_id)},
        {TWEETS: GroupOffset(5, TOPIC.topic_id)},
    ]
    (event,) = publisher.outputs
    said = read_progress(event.headers)
    assert said is not None
    assert said.progress == Progress(1, 4)


def test_a_record_that_is_fetched_twice_is_scored_once(tiny_engine: InferenceEngine) -> None:
    publisher = FakePublisher()
    scene = Scene(tiny_engine, new_partition(publisher=publisher))
    scene.run(texts(4), texts(6))
    assert ids(publisher) == [f"tweets-0-{n}" for n in range(6)]
    assert scene.source.num_done == 10


def test_records_below_the_commit_are_replayed_without_a_transaction(tiny_engine: InferenceEngine) -> None:
    publisher = FakePublisher()
    partition = new_partition(publisher=publisher, committed=4)
    scene = Scene(tiny_engine, partition)
    scene.run(texts(4))
    assert publisher.published == []
    assert partition.applied == 4
    assert value_of(scene.metrics, "sentiment_rebuilt_records_total") == 4


def test_only_what_is_new_of_a_batch_is_published(tiny_engine: InferenceEngine) -> None:
    publisher = FakePublisher()
    replaying, new = new_partition(publisher=publisher, committed=4), new_partition(tp=SECOND, publisher=publisher)
    Scene(tiny_engine, replaying, new).run([*texts(4), *texts(2, partition=1)])
    assert ids(publisher) == ["tweets-1-0", "tweets-1-1"]
    assert publisher.offsets == [{SECOND: 2}]
    assert replaying.applied == 4


def test_records_of_a_partition_that_is_not_owned_are_left_alone(tiny_engine: InferenceEngine) -> None:
    publisher = FakePublisher()
    partition = new_partition(publisher=publisher)
    partition.drop()
    scene = Scene(tiny_engine, partition)
    scene.run(texts(3))
    assert publisher.published == []
    assert partition.taken == 0
    assert scene.source.num_done == 3


@pytest.mark.parametrize("error", [FencedError("47"), ExpelledError("22")], ids=["producer", "member"])
def test_where_kafka_refuses_a_transaction_everything_is_dropped_and_the_states_stay_as_they_were(
    tiny_engine: InferenceEngine, error: Exception
) -> None:
    publisher = FakePublisher(error)
    partitions = [new_partition(tp=tp, publisher=publisher) for tp in (TWEETS, SECOND)]
    scene = Scene(tiny_engine, *partitions)
    scene.run([*texts(3), *texts(2, partition=1)])
    for partition in partitions:
        assert not partition.owned
        assert (partition.applied, partition.committed) == (0, 0)
    assert value_of(scene.metrics, "sentiment_fenced_total", by="kafka") == 2
    assert publisher.published == []
    assert scene.source.num_done == 5


def test_a_partition_that_is_gone_is_left_out_and_the_others_are_committed(tiny_engine: InferenceEngine) -> None:
    publisher = FakePublisher(GoneError([TWEETS]))
    gone, there = new_partition(publisher=publisher), new_partition(tp=SECOND, publisher=publisher)
    scene = Scene(tiny_engine, gone, there)
    scene.run([*texts(3), *texts(2, partition=1)])
    assert ids(publisher) == ["tweets-1-0", "tweets-1-1"]
    assert publisher.offsets == [{SECOND: 2}]
    assert (gone.owned, gone.applied) == (False, 0)
    assert (there.owned, there.applied) == (True, 2)
    assert scene.source.num_done == 5
    assert value_of(scene.metrics, "sentiment_fenced_total", by="kafka") == 0


def test_where_every_partition_is_gone_there_is_nothing_to_commit(tiny_engine: InferenceEngine) -> None:
    publisher = FakePublisher(GoneError([TWEETS]))
    scene = Scene(tiny_engine, new_partition(publisher=publisher))
    scene.run(texts(3))
    assert publisher.published == []
    assert scene.source.num_done == 3


def test_a_commit_that_is_undecided_ends_the_process(tiny_engine: InferenceEngine, ended: list[BaseException]) -> None:
    error = UndecidedCommitError("undecided")
    scene = Scene(tiny_engine, new_partition(publisher=FakePublisher(error)))
    with pytest.raises(EndedError):
        scene.run(texts(3))
    assert ended == [error]


def test_the_next_batch_is_scored_while_the_one_before_is_committed(
    tiny_engine: InferenceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SlowPublisher(FakePublisher):
        async def publish(self, outputs: Any, offsets: Any) -> None:
            await scored.wait()
            await super().publish(outputs, offsets)

    scored = asyncio.Event()
    publisher = SlowPublisher()
    scene = Scene(tiny_engine, new_partition(publisher=publisher))
    settled = scene.lock.settled

    async def settled_after_scoring() -> None:
        # The second batch waits here for the first one's commit: it has been scored by then.
        if value_of(scene.metrics, "sentiment_stage_seconds_count", stage="score") == 2:
            assert publisher.published == []
            scored.set()
        await settled()

    monkeypatch.setattr(scene.lock, "settled", settled_after_scoring)

    async def scenario() -> None:
        await scene.assign()
        for start in (0, 2):
            batch = MicroBatch(1000)
            batch.add(TWEETS, list(texts(2, start=start)))
            await scene.pipeline.process(batch)
        await settled()

    run(scenario())
    assert [event["state"]["num_records"] for event in events(publisher)] == [1, 1, 2, 2]


def test_what_stands_in_for_a_field_is_said_in_the_event_and_counted(tiny_engine: InferenceEngine) -> None:
    publisher = FakePublisher()
    scene = Scene(tiny_engine, new_partition(publisher=publisher))
    absent = Record(2, b"a", b'{"text": "great flight"}', timestamp=-1)
    scene.run([text_record(0, "a", "today"), text_record(1, "a", "today", time="noon"), absent])
    first, second, third = events(publisher)
    assert "fallbacks" not in first
    assert (second["fallbacks"], second["source"]["time"]) == (["time_unreadable"], format_time(START_MS))
    assert third["fallbacks"] == ["no_timestamp"]
    assert third["latency_ms"] == 0.0
    assert abs(parse_time(third["source"]["time"]) - time.time() * 1000) < 60_000
    for fallback, count in (("time_unreadable", 1), ("no_timestamp", 1), ("id_ignored", 0)):
        assert value_of(scene.metrics, "sentiment_fallbacks_total", fallback=fallback) == count
    # A record without a timestamp has no age.
    assert value_of(scene.metrics, "sentiment_end_to_end_seconds_count") == 2
