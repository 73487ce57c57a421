"""Does to Redis what a worker does, on keys of its own: is it there, does it take writes, may this user send them."""

from __future__ import annotations

import asyncio
import secrets

from model import ModelConfig
from worker.errors import DependencyError
from worker.records.types import TopicPartition
from worker.settings import Settings
from worker.state.causes import redis_trouble
from worker.state.clients import REDIS_ERRORS
from worker.state.store import Claimant, Fence, StateStore, TopicInfo

_MIN_SKEW_S = 1.0
_STREAM = "rehearsal"


async def check_redis(settings: Settings) -> str:
    """Claim, begin, flush, read and forget a partition of each topic. Answers what was found, for people.

    No key of a worker is touched. Raises DependencyError, with the cause, where a worker could not do its work, or
    where Redis may evict states.
    """
    # No entry is read, so the model configuration does not matter.
    store = StateStore(settings, ModelConfig(num_words=1), f"rehearsal-{secrets.token_hex(4)}")
    try:
        async with asyncio.timeout(settings.request_timeout_s):
            policies = await store.eviction_policies()
            await store.probe()
            await _rehearse(settings, store)
            ahead_s = await store.clock_ahead_s()
    except REDIS_ERRORS as error:
        raise await redis_trouble(settings, error) from error
    finally:
        await store.close()
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
    claims = await store.claim(Claimant(secrets.token_hex(8), ""), dict.fromkeys(tps, topic))
    for tp, claim in claims.items():
        fence = Fence(f"{claim.token}-2", "rehearsal", None)
        try:
            await store.begin(tp, claim.token, fence, topic)
            await store.flush(tp, fence, {_STREAM: None}, 0)
            await store.read(tp, fence._replace(position=0), [_STREAM])
        finally:
            await store.forget(tp)
