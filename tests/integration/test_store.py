"""Fenced reads and writes of states, on a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from redis import Redis
from redis.exceptions import RedisError

from tests.factories import CONFIG, TOPIC, TWEETS, new_entry, new_partition, take
from tests.workplace import Workplace
from worker.errors import DependencyError
from worker.ownership.partition import Partition
from worker.records.types import TopicPartition
from worker.settings import load_settings
from worker.state.claims import Claim, Claimant, Fence, TopicInfo, Verdict
from worker.state.entry import StreamEntry
from worker.state.rehearsal import check_redis
from worker.state.store import StateStore

FINGERPRINT = "0123456789abcdef"
OTHER_FINGERPRINT = "00000000000000ff"
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


async def claim(store: StateStore, token: str, transactional_id: str = "", topic: TopicInfo = TOPIC) -> Claim:
    return (await store.claim(Claimant(token, transactional_id), {TWEETS: topic}))[TWEETS]


async def own(store: StateStore, token: str = "one") -> Partition:
    """Go on with the states that are there, or begin a lineage."""
    found = await claim(store, token)
    fence = Fence(token, found.lineage or token, found.position)
    if found.lineage is None:
        assert await store.begin(TWEETS, token, fence, TOPIC) is Verdict.OK
    start = found.position or 0
    return new_partition(owner=token, lineage=fence.lineage, position=found.position, start=start, committed=start)


async def flush(store: StateStore, partition: Partition, offset: int, **entries: StreamEntry | None) -> Verdict:
    take(partition, offset)
    partition.apply(entries, offset)
    snapshot = partition.snapshot()
    verdict = await store.flush(TWEETS, *snapshot)
    if verdict is Verdict.OK:
        partition.flushed(snapshot)
    return verdict


def meta_key(workplace: Workplace) -> str:
    return f"{{{workplace.settings.group}:tweets:0}}:{FINGERPRINT}:meta"


def test_flushed_states_are_read_back_with_their_position(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: StateStore) -> None:
        partition = await own(store)
        assert await flush(store, partition, 3, a=new_entry(2), b=new_entry(1)) is Verdict.OK
        assert (partition.position, partition.num_dirty) == (3, 0)
        verdict, found = await store.read(TWEETS, partition.fence, ["b", "never", "a"])
        assert verdict is Verdict.OK
        assert [e.num_records if e else None for e in found] == [1, None, 2]
        assert await claim(store, "two") == Claim("two", 3, "one", "", TOPIC)

    run(scenario)


def test_a_claim_names_the_owner_before_and_the_topic_of_the_states(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: StateStore) -> None:
        assert await claim(store, "one", "g-1-a-0") == Claim("one", None, None, "", TOPIC)
        later = TopicInfo("cluster/2", 8)
        assert await claim(store, "two", "g-2-b-0", later) == Claim("two", None, None, "g-1-a-0", TOPIC, "g-1-a-0")
        assert await store.begin(TWEETS, "two", Fence("three", "three", None), later) is Verdict.OK
        assert await claim(store, "four", "g-3-c-0") == Claim("four", None, "three", "g-2-b-0", later, "g-2-b-0")

    run(scenario)


def test_a_worker_takes_a_shadows_states_which_the_shadow_may_claim_once_another_model_serves(
    workplace: Workplace, run: Callable[[Scenario], None]
) -> None:
    async def scenario(store: StateStore) -> None:
        old = StateStore(workplace.settings, CONFIG, OTHER_FINGERPRINT)
        shadow = Claimant("shadow", "g.shadow:1:a:0", is_shadow=True)
        topics = {TWEETS: TOPIC}
        await old.claim(Claimant("old", "g:1:a:0"), topics)
        # The worker's id is no shadow's to end, but it is told.
        assert (await store.claim(shadow, topics))[TWEETS].last_worker == "g:1:a:0"
        assert await store.begin(TWEETS, "shadow", Fence("shadow", "one", None), TOPIC) is Verdict.OK
        assert await store.flush(TWEETS, Fence("shadow", "one", None), {"a": new_entry(2)}, 3) is Verdict.OK
        found = await claim(store, "new", "g:2:b:0")
        assert found == Claim("new", 3, "one", "g.shadow:1:a:0", TOPIC, "g:1:a:0")
        verdict, (entry,) = await store.read(TWEETS, Fence("new", "one", 3), ["a"])
        assert (verdict, entry and entry.num_records) == (Verdict.OK, 2)
        assert await store.flush(TWEETS, Fence("shadow", "one", 3), {"a": None}, 4) is Verdict.CHANGED
        assert await store.claim(shadow, topics) == {}
        assert (await old.claim(Claimant("old", "g:3:a:0"), topics))[TWEETS].last_worker == "g:2:b:0"
        assert (await store.claim(shadow, topics))[TWEETS].position == 3
        await old.close()

    run(scenario)


def test_many_partitions_are_claimed_at_once_each_for_itself(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: StateStore) -> None:
        await flush(store, await own(store), 3)
        second = TopicPartition("tweets", 1)
        found = await store.claim(Claimant("two", ""), {TWEETS: TOPIC, second: TopicInfo("", 4)})
        assert found == {
            TWEETS: Claim("two", 3, "one", "", TOPIC),
            second: Claim("two", None, None, "", TopicInfo("", 4)),
        }

    run(scenario)


def test_the_first_partition_remembers_how_many_its_topic_had(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: StateStore) -> None:
        assert await store.first_partition_counts(["tweets", "reviews"]) == {}
        await claim(store, "one", topic=TopicInfo("", 4))
        await claim(store, "two", topic=TopicInfo("", 8))
        assert await store.first_partition_counts(["tweets", "reviews"]) == {"tweets": 4}

    run(scenario)


@pytest.mark.parametrize("newer", ["two", "0"])
def test_an_owner_before_the_last_claim_is_refused(run: Callable[[Scenario], None], newer: str) -> None:
    async def scenario(store: StateStore) -> None:
        old = await own(store)
        new = await own(store, newer)
        assert await flush(store, old, 1, a=new_entry(1)) is Verdict.CHANGED
        assert old.num_dirty
        assert (await store.read(TWEETS, old.fence, ["a"]))[0] is Verdict.CHANGED
        assert await store.begin(TWEETS, "one", Fence("three", "three", None), TOPIC) is Verdict.CHANGED
        assert await store.read(TWEETS, new.fence, ["a"]) == (Verdict.OK, [None])

    run(scenario)


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


def test_a_new_lineage_does_not_see_the_states_of_the_old_one(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: StateStore) -> None:
        partition = await own(store)
        await flush(store, partition, 1, a=new_entry(1))
        fence = Fence("two", "two", None)
        assert await store.begin(TWEETS, "one", fence, TOPIC) is Verdict.OK
        assert await store.read(TWEETS, fence, ["a"]) == (Verdict.OK, [None])
        assert await claim(store, "three") == Claim("three", None, "two", "", TOPIC)

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
        assert await claim(store, "two") == Claim("two", None, "one", "", TOPIC)

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


# States of version 0.1

FLUSH_OF_VERSION_0_1 = """
local stored = redis.call('HMGET', KEYS[1], 'producer_id', 'producer_epoch', 'position', 'lineage')
if not stored[1] then return 'lost' end
if tonumber(stored[1]) > tonumber(ARGV[1]) then return 'fenced' end
redis.call('HSET', KEYS[1], 'position', ARGV[2])
return 'ok'
"""


@pytest.fixture
def old_meta(workplace: Workplace, redis: Redis) -> str:
    """What version 0.1 left: states at offset 7, with one entry."""
    key = meta_key(workplace)
    redis.hset(key, mapping={"producer_id": 5, "producer_epoch": 0, "position": 7, "lineage": "5.0.1"})
    redis.set(key.removesuffix("meta") + "5.0.1:a", new_entry(2).to_bytes(FINGERPRINT))
    return key


def test_states_of_version_0_1_are_taken_over(run: Callable[[Scenario], None], old_meta: str) -> None:
    async def scenario(store: StateStore) -> None:
        shown = await store.find(TWEETS, "a")
        assert shown is not None
        assert (shown.fence, shown.entry.num_records) == (Fence("", "5.0.1", 7), 2)
        assert await claim(store, "one") == Claim("one", 7, "5.0.1", "", TOPIC)
        partition = new_partition(owner="one", lineage="5.0.1", position=7, start=7, committed=7)
        verdict, (entry,) = await store.read(TWEETS, partition.fence, ["a"])
        assert verdict is Verdict.OK
        assert entry is not None
        assert entry.num_records == 2
        assert await flush(store, partition, 8, a=new_entry(3)) is Verdict.OK

    run(scenario)


def test_a_worker_of_version_0_1_finds_nothing_to_write_to_after_the_claim(
    run: Callable[[Scenario], None], redis: Redis, old_meta: str
) -> None:
    old_flush = redis.register_script(FLUSH_OF_VERSION_0_1)
    assert old_flush(keys=[old_meta], args=[5, 8]) == b"ok"

    async def scenario(store: StateStore) -> None:
        await claim(store, "one")
        assert old_flush(keys=[old_meta], args=[5, 9]) == b"lost"
        assert (await claim(store, "two")).position == 8

    run(scenario)


def test_a_claim_of_version_0_1_takes_the_states_away_from_nobody_unnoticed(
    run: Callable[[Scenario], None], redis: Redis, old_meta: str
) -> None:
    async def scenario(store: StateStore) -> None:
        partition = await own(store)
        await flush(store, partition, 9, a=new_entry(3))
        # It goes on where it finds a lineage, and moves its position.
        redis.hset(old_meta, mapping={"producer_id": 6, "producer_epoch": 0, "position": 10})
        assert await flush(store, partition, 11, a=new_entry(4)) is Verdict.CHANGED

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
