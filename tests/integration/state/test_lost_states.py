"""A real Redis that lost its states, may evict them, or holds bytes of somebody else is noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from redis import Redis
from redis.exceptions import RedisError

from tests.factories.partitions import TOPIC, new_entry
from tests.factories.records import TWEETS
from tests.integration.state.owners import Scenario, claim, flush, meta_key, own
from tests.workplace import Workplace
from worker.errors import DependencyError
from worker.settings import load_settings
from worker.state.claims import Claim, Fence, TopicInfo, Verdict
from worker.state.rehearsal import check_redis
from worker.state.store import StateStore


def test_a_redis_that_lost_its_states_is_noticed(run: Callable[[Scenario], None], redis: Redis) -> None:
    async def scenario(store: StateStore) -> None:
        partition = await own(store)
        await flush(store, partition, 1, a=new_entry(1))
        redis.delete(*redis.scan_iter("*tweets:0}*", count=1000))
        assert await flush(store, partition, 2, a=new_entry(2)) is Verdict.CHANGED
        assert (await store.read(TWEETS, partition.fence, ["a"]))[0] is Verdict.CHANGED
        assert await store.begin(TWEETS, "one", Fence("two", "two", None), TOPIC) is Verdict.CHANGED

    run(scenario)


def test_a_rolled_back_redis_counts_as_lost_for_reads_too(run: Callable[[Scenario], None], redis: Redis) -> None:
    async def scenario(store: StateStore) -> None:
        partition = await own(store)
        await flush(store, partition, 1, a=new_entry(1))
        keys = list(redis.scan_iter("*tweets:0}*", count=1000))
        snapshot = {key: redis.dump(key) for key in keys}
        await flush(store, partition, 2, a=new_entry(2))
        for key, value in snapshot.items():
            redis.restore(key, 0, value, replace=True)
        assert (await store.read(TWEETS, partition.fence, ["a"]))[0] is Verdict.CHANGED
        assert await flush(store, partition, 3, a=new_entry(3)) is Verdict.CHANGED

    run(scenario)


def test_bytes_that_this_version_cannot_read_are_told_from_a_claim_that_does_not_stand(
    run: Callable[[Scenario], None], workplace: Workplace, redis: Redis
) -> None:
    async def scenario(store: StateStore) -> None:
        partition = await own(store)
        await flush(store, partition, 1, a=new_entry(1))
        (key,) = redis.scan_iter(f"{{{workplace.settings.group}:tweets:0}}*:a", count=1000)
        redis.set(key, b"\x63 from another version")
        assert (await store.read(TWEETS, partition.fence, ["a"]))[0] is Verdict.UNREADABLE

    run(scenario)


@pytest.mark.parametrize(
    "fields",
    [
        {"position": "x"},
        {"position": "-1"},
        {"position": "9" * 5000},
        {"position": b"\xff"},
        {"lineage": b"\xff"},
        {"flushed_ms": "x"},
        {"flushed_ms": "nan"},
    ],
    ids=str,
)
def test_a_meta_key_with_values_of_somebody_else_is_as_if_redis_had_forgotten(
    run: Callable[[Scenario], None], workplace: Workplace, redis: Redis, fields: dict[str, str | bytes]
) -> None:
    async def scenario(store: StateStore) -> None:
        partition = await own(store)
        await flush(store, partition, 1, a=new_entry(1))
        redis.hset(meta_key(workplace), mapping=fields)
        others = {"partitions": "many", "topic_id": b"\xff", "transactional_id": b"\xff"}
        redis.hset(meta_key(workplace), mapping=others)
        if "flushed_ms" not in fields:
            assert (await store.read(TWEETS, partition.fence, ["a"]))[0] is Verdict.CHANGED
            assert await flush(store, partition, 2, a=new_entry(2)) is Verdict.CHANGED
        assert await store.first_partition_counts(["tweets"]) == {}
        found = await claim(store, "two")
        assert found.position is None
        assert (found.predecessor, found.topic) == ("", TopicInfo("", TOPIC.num_partitions))
        new = Fence("two", "two", None)
        assert await store.begin(TWEETS, "two", new, TOPIC) is Verdict.OK
        assert await store.read(TWEETS, new, ["a"]) == (Verdict.OK, [None])

    run(scenario)


def test_a_meta_key_of_another_type_is_as_if_redis_had_forgotten(
    run: Callable[[Scenario], None], workplace: Workplace, redis: Redis
) -> None:
    async def scenario(store: StateStore) -> None:
        partition = await own(store)
        await flush(store, partition, 1, a=new_entry(1))
        redis.delete(meta_key(workplace))
        redis.rpush(meta_key(workplace), "a list")
        assert (await store.read(TWEETS, partition.fence, ["a"]))[0] is Verdict.CHANGED
        assert await flush(store, partition, 2, a=new_entry(2)) is Verdict.CHANGED
        assert await store.first_partition_counts(["tweets"]) == {}
        assert await claim(store, "two") == Claim("two", None, None, "", TOPIC)

    run(scenario)


def test_a_redis_that_may_evict_states_is_refused_with_what_to_set(workplace: Workplace, redis: Redis) -> None:
    assert "noeviction" in asyncio.run(check_redis(workplace.settings))
    redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(DependencyError, match="noeviction"):
            asyncio.run(check_redis(workplace.settings))
    finally:
        redis.config_set("maxmemory-policy", "noeviction")


def test_a_full_redis_fails_the_probe_although_it_answers(run: Callable[[Scenario], None], redis: Redis) -> None:
    async def scenario(store: StateStore) -> None:
        await store.probe()
        redis.config_set("maxmemory", 1)
        try:
            assert redis.ping()
            with pytest.raises(RedisError, match="maxmemory"):
                await store.probe()
        finally:
            redis.config_set("maxmemory", 0)

    run(scenario)


def test_a_redis_that_does_not_answer_is_named_with_what_to_do() -> None:
    with pytest.raises(DependencyError, match=r"127\.0\.0\.1:1.*--redis"):
        asyncio.run(check_redis(load_settings(redis="redis://127.0.0.1:1/0")))
