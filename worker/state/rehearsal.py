"""Does to Redis what a worker does, on keys of its own: is it there, does it take writes, may this user send them."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Any

from redis.asyncio import RedisCluster
from redis.exceptions import NoPermissionError

from model import ModelConfig
from worker.errors import DependencyError
from worker.records.types import TopicPartition
from worker.settings import Settings
from worker.state.causes import redis_trouble
from worker.state.claims import Claimant, Fence, TopicInfo
from worker.state.clients import REDIS_ERRORS, connect
from worker.state.store import StateStore

_MIN_SKEW_S = 1.0
_STREAM = "rehearsal"


async def check_redis(settings: Settings) -> str:
    """Claim, begin, flush, read and forget a partition of each topic. Answers what was found, for people.

    No key of a worker is touched. Raises DependencyError, with the cause, where a worker could not do its work, or
    where Redis may evict states.
    """
    # No entry is read, so the model configuration does not matter.
    store = StateStore(settings, ModelConfig(num_words=1), f"rehearsal-{secrets.token_hex(4)}")
    client = connect(settings)
    try:
        async with asyncio.timeout(settings.request_timeout_s):
            policies, ahead_s = await _eviction_policies(client), await _clock_ahead_s(client)
            await store.probe()
            await _rehearse(settings, store)
    except REDIS_ERRORS as error:
        raise await redis_trouble(settings, error) from error
    finally:
        await store.close()
        await client.aclose()
    for policy in policies - {"noeviction"}:
        advice = "Set it to noeviction: redis-cli config set maxmemory-policy noeviction"
        problem = f"its maxmemory-policy {policy} evicts states"
        raise DependencyError("Redis", settings.redis_address, problem, advice)
    policy = "is noeviction" if policies else "is not known (this user has no right to INFO)"
    clock = f"; its clock is {ahead_s:+.1f} s from this one" if abs(ahead_s) > _MIN_SKEW_S else ""
    return f"takes claims and states, and its maxmemory-policy {policy}{clock}"


async def _rehearse(settings: Settings, store: StateStore) -> None:
    tps = [TopicPartition(topic, 0) for topic in settings.topics]
    topic = TopicInfo("", 1)
    # As a shadow: which model a partition is served by is no key of the rehearsal.
    claims = await store.claim(Claimant(secrets.token_hex(8), "", is_shadow=True), dict.fromkeys(tps, topic))
    for tp, claim in claims.items():
        fence = Fence(f"{claim.token}-2", "rehearsal", None)
        try:
            await store.begin(tp, claim.token, fence, topic)
            await store.flush(tp, fence, {_STREAM: None}, 0)
            await store.read(tp, fence._replace(position=0), [_STREAM])
        finally:
            await store.forget(tp)


async def _eviction_policies(client: Any) -> set[str]:
    """The maxmemory-policy of each server; empty where the user may not ask."""
    try:
        found: dict[str, Any] = await client.info("memory", **_on(client, "primaries"))
    except NoPermissionError:
        return set()
    # A cluster answers for each of its masters.
    answers = (found,) if "maxmemory_policy" in found else found.values()
    return {answer.get("maxmemory_policy", "noeviction") for answer in answers}


async def _clock_ahead_s(client: Any) -> float:
    seconds, microseconds = await client.time(**_on(client, "random"))
    return float(seconds + microseconds / 1e6 - time.time())


def _on(client: Any, nodes: str) -> dict[str, str]:
    """Which nodes of a cluster a command without a key goes to."""
    return {"target_nodes": nodes} if isinstance(client, RedisCluster) else {}
