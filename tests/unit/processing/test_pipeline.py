"""A micro-batch through its numbered steps, with a real small engine and fakes for Kafka and Redis."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any, NoReturn

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from model import InferenceEngine
from tests.factories.fake_store import FakeStore, Meta
from tests.factories.partitions import MEMBERSHIP, TOPIC, FakePublisher, new_observers, new_partition
from tests.factories.records import START_MS, TWEETS, Record, text_record
from tests.metric_names import value_of
from worker.errors import UndecidedCommitError
from worker.kafka.group_offsets import ExpelledError, GoneError, GroupOffset
from worker.kafka.producer import FencedError
from worker.kafka.transport.assignment import Assignment
from worker.kafka.transport.microbatch import MicroBatch, Pacing, Records
from worker.monitoring.tracing.tracing import NO_TRACING, Tracing
from worker.ownership.checkpointer import Checkpointer
from worker.ownership.manager import PartitionManager
from worker.ownership.partition import Partition
from worker.ownership.processing_lock import ProcessingLock
from worker.process import CrashPoints
from worker.processing import committer as committer_module
from worker.processing.pipeline import Pipeline
from worker.records.codec import format_time, parse_time
from worker.records.types import TopicPartition
from worker.settings import load_settings
from worker.state.claims import Fence, Verdict

BOUND_S = 60
SECOND = TopicPartition("tweets", 1)
TEXTS = ("great flight", "not good", "terrible service", "today")


class EndedError(Exception):
    """The process would have ended."""


class FakeSource:
    """Notes what is done, and how often the consumer was sent back; idle_at is where it stands, if idle."""

    pacing = Pacing(max_wait_s=0.0)

    def __init__(self) -> None:
        self.num_done = 0
        self.num_seeks = 0
        self.idle_at: dict[TopicPartition, int] = {}

    def done(self, records: Records) -> None:
        self.num_done += sum(map(len, records.values()))

    async def reseek(self) -> None:
        self.num_seeks += 1

    def idle_positions(self) -> dict[TopicPartition, int]:
        return self.idle_at


class FakeTakeOver:
    """Gives partitions, and recovers them without servers; `error` is raised by a recovery."""

    def __init__(self, partitions: Sequence[Partition]) -> None:
        self.partitions = partitions
        self.error: Exception | None = None
        self.unreadable: list[bool] = []

    async def take_over(
        self, tps: Collection[TopicPartition], _: Any
    ) -> AsyncIterator[dict[TopicPartition, Partition]]:
        yield {one.tp: one for one in self.partitions if one.tp in tps}

    async def recover(self, partition: Partition, *, unreadable: bool = False) -> bool:
        self.unreadable.append(unreadable)
        if self.error is not None:
            raise self.error
        fence = Fence("two", "two", None)
        if partition.complete:
            partition.rewrite(fence)
            return False
        partition.reset(fence, 0, partition.committed)
        return True


class FakeGroup:
    """Has expelled this worker."""

    num_asked = 0

    async def is_member(self, _: Any) -> bool:
        self.num_asked += 1
        return False


class Scene:
    """A pipeline that owns `partitions`."""

    def __init__(
        self,
        engine: InferenceEngine,
        *partitions: Partition,
        store: FakeStore | None = None,
        tracing: Tracing = NO_TRACING,
        **flags: Any,
    ) -> None:
        settings = load_settings(max_wait_ms=0, **flags)
        self.metrics, health = new_observers()
        self.source = FakeSource()
        self.store = store or FakeStore()
        self.lock = ProcessingLock()
        self.tps = frozenset(partition.tp for partition in partitions)
        crash_points = CrashPoints(None)
        takeover: Any = FakeTakeOver(partitions)
        self.takeover = takeover
        any_store: Any = self.store
        group: Any = FakeGroup()
        self.group = group
        observers = (self.metrics, health)
        checkpointer = Checkpointer(settings, any_store, takeover, self.lock, *observers, crash_points, tracing)
        self.manager = PartitionManager(
            settings,
            group,
            lambda membership: FakePublisher(membership=membership),
            takeover,
            checkpointer,
            self.lock,
            *observers,
            crash_points,
        )
        self.pipeline = Pipeline(
            settings, engine, self.source, self.manager, checkpointer, self.lock, *observers, crash_points, tracing
        )

    async def assign(self) -> None:
        async def reseek() -> None: ...

        self.manager.on_assigned(Assignment(self.tps, MEMBERSHIP, reseek))
        await self.manager.taken_over()

    async def process(self, records: Sequence[Record]) -> None:
        """One micro-batch, until its commit is over."""
        batch = MicroBatch(1000)
        for tp in sorted({TopicPartition(record.topic, record.partition) for record in records}):
            batch.add(tp, [record for record in records if record.partition == tp.partition])
        await self.pipeline.process(batch)
        await self.lock.settled()

    async def skip(self) -> None:
        """Of an idle consumer, as every second."""
        await self.pipeline.skip()

    def run(self, *batches: Sequence[Record]) -> None:
        async def scenario() -> None:
            await self.assign()
            for batch in batches:
                await self.process(batch)

        asyncio.run(asyncio.wait_for(scenario(), BOUND_S))


@pytest.fixture(autouse=True)
def ended(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """Errors that ended the process."""
    errors: list[BaseException] = []

    def end(error: BaseException) -> NoReturn:
        errors.append(error)
        raise EndedError

    monkeypatch.setattr(committer_module, "die", end)
    return errors


def texts(count: int, start: int = 0, partition: int = 0) -> list[Record]:
    records = [text_record(start + n, "ab"[n % 2], TEXTS[n % 4]) for n in range(count)]
    for record in records:
        record.partition = partition
    return records


def run(scenario: Any) -> None:
    asyncio.run(asyncio.wait_for(scenario, BOUND_S))


def events(publisher: FakePublisher) -> list[dict[str, Any]]:
    return [json.loads(output.value or b"") for output in publisher.outputs]


def ids(publisher: FakePublisher) -> list[str]:
    return [event["id"] for event in events(publisher)]


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


def test_states_that_are_not_in_memory_are_read_from_redis(tiny_engine: InferenceEngine) -> None:
    store, first = FakeStore(), new_partition()
    scene = Scene(tiny_engine, first, store=store, flush_interval_s=0)
    scene.run(texts(4))
    publisher = FakePublisher()
    again = new_partition(publisher=publisher, position=4, start=4, committed=4)
    scene = Scene(tiny_engine, again, store=store)
    scene.run(texts(2, start=4))
    assert [event["state"]["num_records"] for event in events(publisher)] == [3, 3]
    assert value_of(scene.metrics, "sentiment_state_cache_total", result="miss") == 2


def test_where_redis_lost_the_states_the_records_wait_for_the_rebuild(tiny_engine: InferenceEngine) -> None:
    publisher = FakePublisher()
    partition = new_partition(publisher=publisher, position=4, start=4, committed=4)
    scene = Scene(tiny_engine, partition, store=FakeStore(Verdict.CHANGED))
    scene.run(texts(2, start=4))
    assert publisher.published == []
    assert scene.source.num_seeks == 1
    assert (partition.taken, partition.committed) == (0, 4)


def test_where_an_entry_in_redis_cannot_be_decoded_the_records_wait_for_the_rebuild(
    tiny_engine: InferenceEngine,
) -> None:
    publisher = FakePublisher()
    partition = new_partition(publisher=publisher, position=4, start=4, committed=4)
    scene = Scene(tiny_engine, partition, store=FakeStore(Verdict.UNREADABLE))
    scene.run(texts(2, start=4))
    assert publisher.published == []
    assert scene.takeover.unreadable == [True]
    assert (partition.taken, partition.committed) == (0, 4)


def test_where_another_worker_claimed_the_states_and_the_group_goes_on_without_us_everything_is_dropped(
    tiny_engine: InferenceEngine,
) -> None:
    publisher = FakePublisher()
    partition = new_partition(publisher=publisher, position=4, start=4, committed=4)
    store = FakeStore()
    store.metas[TWEETS] = Meta("another", lineage="one", position=4)
    scene = Scene(tiny_engine, partition, store=store)
    scene.takeover.error = ExpelledError("another worker has claimed tweets-0")
    scene.run(texts(2, start=4))
    assert not partition.owned
    assert publisher.published == []
    assert value_of(scene.metrics, "sentiment_fenced_total", by="redis") == 1
    assert scene.source.num_done == 2


def test_a_flush_finds_lost_states_and_writes_them_again(tiny_engine: InferenceEngine) -> None:
    partition = new_partition()
    scene = Scene(tiny_engine, partition, store=FakeStore(Verdict.CHANGED))

    async def scenario() -> None:
        await scene.assign()
        await scene.process(texts(2))
        await scene.pipeline.flush()
        await scene.pipeline.flush()

    run(scenario())
    assert partition.fence == scene.store.fence == Fence("two", "two", 2)
    assert not partition.num_dirty
    assert scene.source.num_seeks == 0


def test_a_flush_of_a_worker_on_which_the_group_does_not_count_any_more_drops_everything(
    tiny_engine: InferenceEngine,
) -> None:
    partition = new_partition()
    scene = Scene(tiny_engine, partition, store=FakeStore(Verdict.CHANGED))
    scene.takeover.error = ExpelledError("another worker has claimed tweets-0")

    async def scenario() -> None:
        await scene.assign()
        await scene.process(texts(2))
        await scene.pipeline.flush()
        await scene.manager.taken_over()

    run(scenario())
    assert not partition.owned
    assert scene.group.num_asked == 1


def test_a_batch_that_redis_holds_up_at_a_revocation_is_left_to_the_next_owner(tiny_engine: InferenceEngine) -> None:
    publisher = FakePublisher()
    partition = new_partition(publisher=publisher, position=4, start=4, committed=4)
    scene = Scene(tiny_engine, partition, store=FakeStore(*[RedisConnectionError("away")] * 100))

    async def scenario() -> None:
        await scene.assign()
        processing = asyncio.create_task(scene.process(texts(2, start=4)))
        await asyncio.sleep(0.05)
        await scene.manager.on_revoked()
        await processing

    run(scenario())
    assert publisher.published == []
    assert scene.source.num_done == 2
    assert scene.manager.partitions == {}


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


def test_memory_keeps_no_more_streams_than_it_may(tiny_engine: InferenceEngine) -> None:
    partition = new_partition()
    scene = Scene(tiny_engine, partition, flush_interval_s=0, max_cached_streams=10)
    batches = [[text_record(start + n, f"s{start + n}", "great") for n in range(10)] for start in range(0, 40, 10)]
    scene.run(*batches)
    assert partition.num_cached <= 20
    assert not partition.complete


# What holds no records


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
