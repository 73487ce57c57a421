"""Flushed states on a real Redis: they are read back, erased, and expire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from redis import Redis

from tests.factories.partitions import TOPIC, new_entry
from tests.factories.records import TWEETS
from tests.integration.state.owners import Scenario, claim, flush, meta_key, own
from tests.workplace import Workplace
from worker.state.claims import Claim, Verdict
from worker.state.store import StateStore


def test_flushed_states_are_read_back_with_their_position(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: StateStore) -> None:
        partition = await own(store)
        assert await flush(store, partition, 3, a=new_entry(2), b=new_entry(1)) is Verdict.OK
        assert (partition.position, partition.num_dirty) == (3, 0)
        verdict, found = await store.read(TWEETS, partition.fence, ["b", "never", "a"])
        assert verdict is Verdict.OK
        assert [e.num_records if e else None for e in found] == [1, None, 2]
        assert await claim(store, "two") == Claim("two", 3, "one", "", TOPIC, num_resets=0)

    run(scenario)


def test_an_erased_stream_is_gone_from_redis(run: Callable[[Scenario], None], redis: Redis) -> None:
    async def scenario(store: StateStore) -> None:
        partition = await own(store)
        await flush(store, partition, 1, gone=new_entry(1))
        await flush(store, partition, 2, gone=None)
        assert not list(redis.scan_iter("*tweets:0}*gone", count=1000))

    run(scenario)


def test_states_and_position_expire_in_redis_only_after_twice_the_time_to_live(
    run: Callable[[Scenario], None], workplace: Workplace, redis: Redis
) -> None:
    async def scenario(store: StateStore) -> None:
        await flush(store, await own(store), 1, a=new_entry(1))

    run(scenario)
    keys = list(redis.scan_iter(f"{{{workplace.settings.group}:*", count=1000))
    assert len(keys) == 3
    assert all(redis.ttl(key) > 1.9 * workplace.settings.state_ttl_s for key in keys)


def test_states_that_were_flushed_longer_ago_than_they_live_are_not_gone_on_with(
    run: Callable[[Scenario], None], workplace: Workplace, redis: Redis
) -> None:
    async def scenario(store: StateStore) -> None:
        await flush(store, await own(store), 3, a=new_entry(1))
        redis.hincrby(meta_key(workplace), "flushed_ms", -int(2000 * workplace.settings.state_ttl_s) - 60_000)
        assert await claim(store, "two") == Claim("two", None, "one", "", TOPIC, num_resets=0)

    run(scenario)


def test_a_look_at_an_idle_partition_does_not_make_its_states_look_younger(
    run: Callable[[Scenario], None], workplace: Workplace, redis: Redis
) -> None:
    async def scenario(store: StateStore) -> None:
        partition = await own(store)
        await flush(store, partition, 3, a=new_entry(1))
        before = redis.hget(meta_key(workplace), "flushed_ms")
        await asyncio.sleep(0.005)
        assert await flush(store, partition, 3) is Verdict.OK
        assert redis.hget(meta_key(workplace), "flushed_ms") == before

    run(scenario)
