"""The model of Redis answers the worker's store as a real Redis does."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.factories.partitions import CONFIG, new_entry
from tests.simulation.loop import SimulatedLoop
from tests.simulation.network import Network
from tests.simulation.redis_model import RedisServer, SimulatedRedis
from tests.simulation.worker.worker_process import new_store
from tests.workplace import Workplace
from worker.records.types import TopicPartition
from worker.state.claims import Claimant, Fence, TopicInfo
from worker.state.store import StateStore

BOUND_S = 60
FINGERPRINT = "00112233445566aa"
TPS = (TopicPartition("tweets", 0), TopicPartition("tweets", 1))
TOPIC, OTHER = TopicInfo("cluster/1", 2), TopicInfo("cluster/2", 3)


async def script(store: StateStore) -> list[Any]:
    """Claims, flushes and reads, of the owner and of others."""
    tp = TPS[0]
    first, fence = Claimant("one", "t-1"), Fence("one", "one", None)
    entries = {"@a": new_entry(1), "@b": new_entry(2)}
    answers: list[Any] = [
        await store.first_partition_counts(["tweets"]),
        await store.claim(first, dict.fromkeys(TPS, TOPIC)),
        await store.flush(tp, fence, entries, 2),
        await store.begin(tp, "nobody", fence, TOPIC),
        await store.begin(tp, "one", fence, TOPIC),
        await store.flush(tp, fence, entries, 3),
        await store.flush(tp, fence, entries, 3),
        await store.flush(tp, fence._replace(position=3), {"@a": None}, 3),
        await store.flush(tp, fence._replace(position=3), {"@c": new_entry(3)}, 5, 1),
    ]
    stored = fence._replace(position=5)
    answers += [
        list(map(_shown, (await store.read(tp, stored, ["@a", "@b", "@c"]))[1])),
        (await store.read(tp, fence, ["@b"]))[0],
        await store.claim(Claimant("two", "t-2"), {tp: OTHER}),
        await store.flush(tp, stored, {}, 6),
        await store.begin(tp, "one", Fence("three", "three~", None), OTHER),
        (await store.read(tp, stored._replace(owner="two"), ["@b"]))[0],
        await store.begin(tp, "two", Fence("three", "three~", None), OTHER),
        await store.claim(Claimant("four", ""), dict.fromkeys(TPS, TOPIC)),
        await store.first_partition_counts(["tweets", "reviews"]),
        await store.find(tp, "@b"),
    ]
    return answers


def _shown(entry: Any) -> Any:
    return None if entry is None else entry.to_bytes(FINGERPRINT)


def test_the_store_gets_the_same_answers(workplace: Workplace) -> None:
    async def on_a_real_redis() -> list[Any]:
        store = StateStore(workplace.settings, CONFIG, FINGERPRINT)
        try:
            return await asyncio.wait_for(script(store), BOUND_S)
        finally:
            await store.close()

    loop = SimulatedLoop(0)
    network = Network(loop, "redis", lambda *_: None, BOUND_S)
    redis = SimulatedRedis(RedisServer(loop, []), network)
    simulated = loop.run_until_complete(script(new_store(redis, workplace.settings)))
    loop.close()
    assert simulated == asyncio.run(on_a_real_redis())
