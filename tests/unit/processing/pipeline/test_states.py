"""States of a micro-batch: read from Redis, lost there, flushed, and kept in memory within a bound."""

from __future__ import annotations

import asyncio

from redis.exceptions import ConnectionError as RedisConnectionError

from model import InferenceEngine
from tests.factories.fake_store import FakeStore, Meta
from tests.factories.partitions import FakePublisher, new_partition
from tests.factories.records import TWEETS, text_record
from tests.metric_names import value_of
from tests.unit.processing.pipeline.scene import Scene, events, run, texts
from worker.kafka.group_offsets import ExpelledError
from worker.state.claims import Fence, Verdict


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


def test_memory_keeps_no_more_streams_than_it_may(tiny_engine: InferenceEngine) -> None:
    partition = new_partition()
    scene = Scene(tiny_engine, partition, flush_interval_s=0, max_cached_streams=10)
    batches = [[text_record(start + n, f"s{start + n}", "great") for n in range(10)] for start in range(0, 40, 10)]
    scene.run(*batches)
    assert partition.num_cached <= 20
    assert not partition.complete
