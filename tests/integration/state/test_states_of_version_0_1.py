"""States that version 0.1 left in a real Redis are taken over, and no claim of either version goes unnoticed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis import Redis

from tests.factories.partitions import TOPIC, new_entry, new_partition
from tests.factories.records import TWEETS
from tests.integration.state.owners import FINGERPRINT, Scenario, claim, flush, meta_key, own
from tests.workplace import Workplace
from worker.state.claims import Claim, Fence, Verdict
from worker.state.store import StateStore

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
