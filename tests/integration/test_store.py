"""Fenced reads and writes of states, on a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from redis import Redis
from redis.exceptions import RedisError

from tests.factories import CONFIG, FIRST_EPOCH, TWEETS, new_entry, new_partition, take
from tests.workplace import Workplace
from worker.errors import DependencyError
from worker.ownership.partition import Partition
from worker.settings import load_settings
from worker.state.entry import StreamEntry
from worker.state.store import Claim, Epoch, Fence, StateStore, Verdict

FINGERPRINT = "0123456789abcdef"
BOUND_S = 120

Scenario = Callable[[StateStore], Awaitable[None]]


@pytest.fixture
def redis(workplace: Workplace) -> Redis:
    return Redis.from_url(workplace.settings.redis)


@pytest.fixture
def run(workplace: Workplace) -> Callable[[Scenario], None]:
    """Runs a scenario with a store whose keys no other test uses."""

    def run_scenario(scenario: Scenario) -> None:
        async def with_store() -> None:
            store = StateStore(workplace.settings, CONFIG, FINGERPRINT)
            try:
                await asyncio.wait_for(scenario(store), BOUND_S)
            finally:
                await store.close()

        asyncio.run(with_store())

    return run_scenario


async def own(store: StateStore, epoch: Epoch = FIRST_EPOCH, lineage: str = "5.0.1") -> Partition:
    claim = await store.claim(TWEETS, epoch, lineage)
    assert not claim.fenced
    start = claim.position or 0
    return new_partition(
        epoch=claim.epoch, lineage=claim.lineage, position=claim.position, start=start, committed=start
    )


async def flush(store: StateStore, partition: Partition, offset: int, **entries: StreamEntry | None) -> Verdict:
    take(partition, offset)
    partition.apply(entries, offset)
    snapshot = partition.snapshot()
    verdict = await store.flush(TWEETS, *snapshot)
    if verdict is Verdict.OK:
        partition.flushed(snapshot)
    return verdict


def test_flushed_states_are_read_back_with_their_position(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: StateStore) -> None:
        partition = await own(store)
        assert await flush(store, partition, 3, a=new_entry(2), b=new_entry(1)) is Verdict.OK
        assert (partition.position, partition.num_dirty) == (3, 0)
        verdict, found = await store.read(TWEETS, partition.fence, ["b", "never", "a"])
        assert verdict is Verdict.OK
        assert [e.num_records if e else None for e in found] == [1, None, 2]
        claim = await store.claim(TWEETS, Epoch(5, 1), "5.1.1")
        assert claim == Claim(False, Epoch(5, 1), 3, "5.0.1")

    run(scenario)


@pytest.mark.parametrize("newer", [Epoch(5, 1), Epoch(6, 0)])
def test_an_owner_with_a_lower_epoch_is_fenced(run: Callable[[Scenario], None], newer: Epoch) -> None:
    async def scenario(store: StateStore) -> None:
        old = await own(store)
        new = await own(store, newer)
        assert await flush(store, old, 1, a=new_entry(1)) is Verdict.FENCED
        assert old.num_dirty
        assert (await store.read(TWEETS, old.fence, ["a"]))[0] is Verdict.FENCED
        assert (await store.claim(TWEETS, Epoch(5, 0), "x")).fenced
        verdict, found = await store.read(TWEETS, new.fence, ["a"])
        assert (verdict, found) == (Verdict.OK, [None])

    run(scenario)


def test_a_redis_that_lost_its_states_is_distinguished_from_one_that_fences(
    run: Callable[[Scenario], None], redis: Redis
) -> None:
    async def scenario(store: StateStore) -> None:
        partition = await own(store)
        await flush(store, partition, 1, a=new_entry(1))
        redis.delete(*redis.scan_iter("*tweets:0}*", count=1000))
        assert await flush(store, partition, 2, a=new_entry(2)) is Verdict.LOST
        assert (await store.read(TWEETS, partition.fence, ["a"]))[0] is Verdict.LOST

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
        assert (await store.read(TWEETS, partition.fence, ["a"]))[0] is Verdict.LOST
        assert await flush(store, partition, 3, a=new_entry(3)) is Verdict.LOST

    run(scenario)


def test_a_new_lineage_does_not_see_the_states_of_the_old_one(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: StateStore) -> None:
        partition = await own(store)
        await flush(store, partition, 1, a=new_entry(1))
        claim = await store.claim(TWEETS, Epoch(5, 1), "5.1.1", new_lineage=True)
        assert claim == Claim(False, Epoch(5, 1), None, "5.1.1")
        fence = Fence(claim.epoch, claim.lineage, claim.position)
        assert await store.read(TWEETS, fence, ["a"]) == (Verdict.OK, [None])

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
    assert len(keys) == 2
    assert all(redis.ttl(key) > 1.9 * workplace.settings.state_ttl_s for key in keys)


def test_without_an_epoch_from_kafka_each_claim_is_higher_even_after_redis_lost_its_data(
    run: Callable[[Scenario], None], redis: Redis
) -> None:
    async def scenario(store: StateStore) -> None:
        first = (await store.claim(TWEETS, None, "a")).epoch
        second = (await store.claim(TWEETS, None, "b")).epoch
        redis.delete(*redis.scan_iter("*tweets:0}*", count=1000))
        await asyncio.sleep(0.002)
        third = (await store.claim(TWEETS, None, "c")).epoch
        assert first < second < third

    run(scenario)


def test_bytes_that_this_version_cannot_read_count_as_lost(run: Callable[[Scenario], None], redis: Redis) -> None:
    async def scenario(store: StateStore) -> None:
        partition = await own(store)
        await flush(store, partition, 1, a=new_entry(1))
        (key,) = redis.scan_iter("*tweets:0}*:a", count=1000)
        redis.set(key, b"\x63 from another version")
        assert (await store.read(TWEETS, partition.fence, ["a"]))[0] is Verdict.LOST

    run(scenario)


def test_a_redis_that_may_evict_states_is_refused_with_what_to_set(
    run: Callable[[Scenario], None], redis: Redis
) -> None:
    async def scenario(store: StateStore) -> None:
        await store.check()
        redis.config_set("maxmemory-policy", "allkeys-lru")
        try:
            with pytest.raises(DependencyError, match="noeviction"):
                await store.check()
        finally:
            redis.config_set("maxmemory-policy", "noeviction")

    run(scenario)


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
    async def scenario() -> None:
        store = StateStore(load_settings(redis="redis://127.0.0.1:1/0"), CONFIG, FINGERPRINT)
        with pytest.raises(DependencyError, match=r"127\.0\.0\.1:1.*--redis"):
            await store.check()

    asyncio.run(scenario())
