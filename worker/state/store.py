"""The states in Redis: a checkpoint derived from Kafka, written under a fence.

Keys of a partition share a hash tag, so that one script reaches them on a Redis Cluster, and carry the model's
fingerprint, so that no state of one model is ever fed to another:

    {group:topic:partition}:fingerprint:meta                  hash: producer_id, producer_epoch, position, lineage
    {group:topic:partition}:fingerprint:LINEAGE:STREAM        a stream's entry

A lineage is one unbroken history of states. A rebuild begins a new one, so that a state left over from before (Redis
rolled back, a stream erased since) is never read; its keys expire.
"""

from __future__ import annotations

from enum import StrEnum
from importlib.resources import files
from typing import Any, NamedTuple

from faust.types import TP
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from model import ModelConfig, StateError
from worker.errors import DependencyError
from worker.ownership.partition import Epoch, Partition
from worker.settings import Settings
from worker.state.entry import StreamEntry

_PROBE_TTL_MS = 60_000


class Standing(StrEnum):
    """What Redis says of the asker's ownership."""

    OK = "ok"
    FENCED = "fenced"
    LOST = "lost"


class Claim(NamedTuple):
    """Answer to a claim: the epoch in force, and where the states in Redis stand (None: there are none)."""

    fenced: bool
    epoch: Epoch
    position: int | None
    lineage: str


class Found(NamedTuple):
    """What Redis holds of a stream, and where the states of its partition stand."""

    epoch: Epoch
    position: int | None
    lineage: str
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
        # expiry is by event time, in the pipeline; this one only collects what nobody asked for in twice that time
        self._garbage_after_ms = int(2000 * settings.state_ttl_s)
        self._redis: Redis = Redis.from_url(
            settings.redis,
            socket_timeout=settings.request_timeout_s,
            socket_connect_timeout=settings.request_timeout_s,
            # who asks decides whether to ask again: the client's own retries would outlast every bound
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
        # a ping is no proof: a Redis that is full, or a replica, answers it as well
        await self._redis.set(f"{{{self._settings.group}:probe}}", b"", px=_PROBE_TTL_MS)

    async def claim(self, tp: TP, epoch: Epoch | None, lineage: str, *, anew: bool = False) -> Claim:
        """Fence earlier owners of `tp` and learn where its states stand; `anew` begins a lineage without any.

        `epoch` None, where Kafka gives no number (at_least_once), takes the next one in Redis.
        """
        producer_id, producer_epoch = epoch if epoch is not None else ("", 0)
        answer = await self._claim_script(
            keys=[self._meta_key(tp)],
            args=[producer_id, producer_epoch, lineage, "anew" if anew else "", self._garbage_after_ms],
        )
        verdict, stored = answer[0], Epoch(int(answer[1]), int(answer[2]))
        if verdict == b"fenced":
            return Claim(True, stored, None, "")
        return Claim(False, stored, int(answer[3]) if answer[3] else None, answer[4].decode())

    async def read(self, partition: Partition, streams: list[str]) -> tuple[Standing, list[StreamEntry | None]]:
        """Entries of `streams`, in order, read together with the proof that Redis still holds what was last written."""
        keys = [self._stream_key(partition.tp, partition.lineage, stream) for stream in streams]
        async with partition.redis_lock, self._redis.pipeline(transaction=True) as transaction:
            transaction.hmget(self._meta_key(partition.tp), "producer_id", "producer_epoch", "position", "lineage")
            transaction.mget(keys)
            meta, values = await transaction.execute()
            standing = _standing(partition, meta)
        if standing is not Standing.OK:
            return standing, []
        try:
            return standing, [self._decode(value) for value in values]
        except StateError:
            # bytes that this version cannot read are as good as gone: the log has them
            return Standing.LOST, []

    async def flush(self, partition: Partition) -> Standing:
        """Write the partition's dirty states and the position they stand for; on OK they are dirty no more."""
        async with partition.redis_lock:
            return await self._flush(partition)

    async def _flush(self, partition: Partition) -> Standing:
        entries, position = dict(partition.dirty), partition.applied
        keys = [self._stream_key(partition.tp, partition.lineage, stream) for stream in entries]
        states = [entry.to_bytes(self._fingerprint) if entry else b"" for entry in entries.values()]
        answer = await self._flush_script(
            keys=[self._meta_key(partition.tp), *keys],
            args=[
                *partition.epoch,
                partition.lineage,
                "" if partition.position is None else partition.position,
                position,
                self._garbage_after_ms,
                *states,
            ],
        )
        standing = Standing(answer.decode())
        if standing is Standing.OK:
            partition.position = position
            for stream, entry in entries.items():
                if partition.dirty.get(stream) is entry:
                    partition.dirty.pop(stream, None)
        return standing

    async def find(self, tp: TP, stream: str) -> Found | None:
        """What was last flushed of `stream`, whoever owns it: for people, the pipeline reads what it owns."""
        redis: Any = self._redis
        meta = await redis.hmget(self._meta_key(tp), "producer_id", "producer_epoch", "position", "lineage")
        producer_id, producer_epoch, position, lineage = meta
        if producer_id is None or producer_epoch is None or lineage is None:
            return None
        entry = self._decode(await redis.get(self._stream_key(tp, lineage.decode(), stream)))
        epoch = Epoch(int(producer_id), int(producer_epoch))
        return Found(epoch, None if position is None else int(position), lineage.decode(), entry) if entry else None

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    def _decode(self, value: bytes | None) -> StreamEntry | None:
        return None if value is None else StreamEntry.from_bytes(value, self._config, self._fingerprint)

    def _prefix(self, tp: TP) -> str:
        return f"{{{self._settings.group}:{tp.topic}:{tp.partition}}}:{self._fingerprint}"

    def _meta_key(self, tp: TP) -> str:
        return f"{self._prefix(tp)}:meta"

    def _stream_key(self, tp: TP, lineage: str, stream: str) -> str:
        return f"{self._prefix(tp)}:{lineage}:{stream}"


def _script(name: str) -> str:
    return (files("worker.state") / name).read_text(encoding="utf-8")


def _standing(partition: Partition, meta: list[bytes | None]) -> Standing:
    producer_id, producer_epoch, position, lineage = meta
    if producer_id is None or producer_epoch is None:
        return Standing.LOST
    stored = Epoch(int(producer_id), int(producer_epoch))
    if stored > partition.epoch:
        return Standing.FENCED
    stored_position = None if position is None else int(position)
    same = (stored, stored_position, lineage) == (partition.epoch, partition.position, partition.lineage.encode())
    return Standing.OK if same else Standing.LOST
