"""The states in Redis: a checkpoint derived from Kafka, written under a fence.

Keys of a partition share a hash tag, so that one script reaches them on a Redis Cluster, and carry the model's
fingerprint, so that no state of one model is ever fed to another:

    {group:topic:partition}:fingerprint:meta                  hash: producer_id, producer_epoch, position, lineage
    {group:topic:partition}:fingerprint:LINEAGE:STREAM        a stream's entry

A lineage is one unbroken history of states. A rebuild begins a new one, so that a state left over from before (Redis
rolled back, a stream erased since) is never read; its keys expire.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from importlib.resources import files
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from model import ModelConfig, StateError
from worker.errors import DependencyError
from worker.records.types import TopicPartition
from worker.settings import Settings
from worker.state.entry import StreamEntry

_PROBE_TTL_MS = 60_000
_META_FIELDS = ("producer_id", "producer_epoch", "position", "lineage")


class Verdict(StrEnum):
    """Whether Redis accepts the asker as the owner of a partition."""

    OK = "ok"
    FENCED = "fenced"
    LOST = "lost"


class Epoch(NamedTuple):
    """Number of an ownership, compared as a pair: Kafka's producer id and producer epoch of the transactional id."""

    producer_id: int
    producer_epoch: int


class Fence(NamedTuple):
    """What the owner of a partition last wrote to Redis; a read or a flush is accepted while it stands there.

    position: the next offset that the states in Redis lack; None before the first flush of a lineage.
    """

    epoch: Epoch
    lineage: str
    position: int | None


class Claim(NamedTuple):
    """Answer to a claim: the epoch in force, and where the states in Redis stand (position None: there are none)."""

    fenced: bool
    epoch: Epoch
    position: int | None
    lineage: str


class FlushedEntry(NamedTuple):
    """A stream's entry in Redis, and the fence that stands there for its partition."""

    fence: Fence
    entry: StreamEntry


def redis_away(settings: Settings, error: BaseException) -> DependencyError:
    """The error that says that Redis is away, and what to do."""
    advice = "Start it, or name another with --redis (SENTIMENT_REDIS)"
    return DependencyError("Redis", settings.redis_address, f"does not answer ({error})", advice)


class StateStore:
    """Reads and writes stream entries of owned partitions."""

    def __init__(self, settings: Settings, config: ModelConfig, fingerprint: str) -> None:
        self._settings = settings
        self._config = config
        self._fingerprint = fingerprint
        # Streams expire by event time, when they are scored. Redis' own expiry only collects what nobody asked for.
        self._garbage_after_ms = int(2000 * settings.state_ttl_s)
        self._redis: Redis = Redis.from_url(
            settings.redis,
            socket_timeout=settings.request_timeout_s,
            socket_connect_timeout=settings.request_timeout_s,
            # The callers bound their retries; the client's own would outlast every bound.
            retry=Retry(NoBackoff(), 0),
        )
        self._claim_script = self._redis.register_script(_script("claim.lua"))
        self._flush_script = self._redis.register_script(_script("flush.lua"))

    async def check(self) -> None:
        """Raises DependencyError when Redis does not answer, or may evict states."""
        try:
            memory: dict[str, Any] = await self._redis.info("memory")
        except (RedisError, OSError) as error:
            raise redis_away(self._settings, error) from error
        policy = memory.get("maxmemory_policy", "noeviction")
        if policy != "noeviction":
            advice = "Set it to noeviction: redis-cli config set maxmemory-policy noeviction"
            raise DependencyError(
                "Redis", self._settings.redis_address, f"its maxmemory-policy {policy} evicts states", advice
            )

    async def probe(self) -> None:
        """Write a small key that soon expires. Raises RedisError or OSError when Redis would take no states now."""
        # A ping proves nothing: a full Redis and a replica answer it as well.
        await self._redis.set(f"{{{self._settings.group}:probe}}", b"", px=_PROBE_TTL_MS)

    async def claim(self, tp: TopicPartition, epoch: Epoch | None, lineage: str, *, new_lineage: bool = False) -> Claim:
        """Fence earlier owners of `tp` and learn where its states stand.

        `epoch` None, where Kafka gives no number (at_least_once), takes the next one in Redis. `new_lineage` begins
        `lineage` without any states; otherwise it counts only where Redis has none.
        """
        producer_id, producer_epoch = epoch if epoch is not None else ("", 0)
        answer = await self._claim_script(
            keys=[self._meta_key(tp)],
            args=[producer_id, producer_epoch, lineage, "new_lineage" if new_lineage else "", self._garbage_after_ms],
        )
        verdict, stored = answer[0], Epoch(int(answer[1]), int(answer[2]))
        if verdict == b"fenced":
            return Claim(True, stored, None, "")
        return Claim(False, stored, int(answer[3]) if answer[3] else None, answer[4].decode())

    async def read(
        self, tp: TopicPartition, fence: Fence, streams: Sequence[str]
    ) -> tuple[Verdict, list[StreamEntry | None]]:
        """Entries of `streams`, in order, read in one transaction with the proof that `fence` still stands.

        Bytes that this version cannot decode count as lost: the log has what they stood for.
        """
        keys = [self._stream_key(tp, fence.lineage, stream) for stream in streams]
        async with self._redis.pipeline(transaction=True) as transaction:
            transaction.hmget(self._meta_key(tp), *_META_FIELDS)
            transaction.mget(keys)
            meta, values = await transaction.execute()
        verdict = _verdict(fence, _stored_fence(meta))
        if verdict is not Verdict.OK:
            return verdict, []
        try:
            return verdict, [self._decode(value) for value in values]
        except StateError:
            return Verdict.LOST, []

    async def flush(
        self, tp: TopicPartition, fence: Fence, entries: Mapping[str, StreamEntry | None], position: int
    ) -> Verdict:
        """Write `entries` (None deletes) and the `position` that they stand for, if `fence` still stands."""
        answer = await self._flush_script(
            keys=[self._meta_key(tp), *(self._stream_key(tp, fence.lineage, stream) for stream in entries)],
            args=[
                *fence.epoch,
                fence.lineage,
                "" if fence.position is None else fence.position,
                position,
                self._garbage_after_ms,
                *(entry.to_bytes(self._fingerprint) if entry else b"" for entry in entries.values()),
            ],
        )
        return Verdict(answer.decode())

    async def find(self, tp: TopicPartition, stream: str) -> FlushedEntry | None:
        """What was last flushed of `stream`, whoever owns the partition. For people; the worker uses `read`."""
        redis: Any = self._redis
        fence = _stored_fence(await redis.hmget(self._meta_key(tp), *_META_FIELDS))
        if fence is None:
            return None
        entry = self._decode(await redis.get(self._stream_key(tp, fence.lineage, stream)))
        return FlushedEntry(fence, entry) if entry else None

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    def _decode(self, value: bytes | None) -> StreamEntry | None:
        return None if value is None else StreamEntry.from_bytes(value, self._config, self._fingerprint)

    def _prefix(self, tp: TopicPartition) -> str:
        return f"{{{self._settings.group}:{tp.topic}:{tp.partition}}}:{self._fingerprint}"

    def _meta_key(self, tp: TopicPartition) -> str:
        return f"{self._prefix(tp)}:meta"

    def _stream_key(self, tp: TopicPartition, lineage: str, stream: str) -> str:
        return f"{self._prefix(tp)}:{lineage}:{stream}"


def _script(name: str) -> str:
    return (files("worker.state") / name).read_text(encoding="utf-8")


def _stored_fence(meta: Sequence[bytes | None]) -> Fence | None:
    """The fence in the values of `_META_FIELDS`; None where Redis has none."""
    producer_id, producer_epoch, position, lineage = meta
    if producer_id is None or producer_epoch is None or lineage is None:
        return None
    epoch = Epoch(int(producer_id), int(producer_epoch))
    return Fence(epoch, lineage.decode(), None if position is None else int(position))


def _verdict(fence: Fence, stored: Fence | None) -> Verdict:
    if stored is None:
        return Verdict.LOST
    if stored.epoch > fence.epoch:
        return Verdict.FENCED
    return Verdict.OK if stored == fence else Verdict.LOST
