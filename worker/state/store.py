"""The states in Redis: a checkpoint derived from Kafka, written under a fence.

Keys of a partition share a hash tag, so that one script reaches them on a Redis Cluster, and carry the model's
fingerprint, so that no state of one model is ever fed to another:

    {group:topic:partition}:fingerprint:meta                  hash, see claim.lua
    {group:topic:partition}:fingerprint:LINEAGE:STREAM        a stream's entry
    {group:topic:partition}:serving                           hash, see claim.lua

A shadow writes under the group that it follows, so that a worker of its model finds its states by claiming them.

Every claim writes a random token, and what is read or written under another token is refused. A lineage is one unbroken
history of states, named after the token that began it. A rebuild begins a new one, so that a state left over from
before (Redis rolled back, a stream erased since) is never read; its keys expire.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

from redis.exceptions import ResponseError

from model import ModelConfig, StateError
from worker.records.types import TopicPartition
from worker.servers.addresses import RedisKind
from worker.settings import Settings
from worker.state.claims import (
    FENCE_FIELDS,
    Claim,
    Claimant,
    Fence,
    FlushedEntry,
    TopicInfo,
    Verdict,
    read_claim,
    read_fence,
    read_number,
)
from worker.state.clients import REDIS_ERRORS, connect
from worker.state.entry import StreamEntry

_PROBE_TTL_MS = 60_000


class StateStore:
    """Reads and writes stream entries of owned partitions."""

    def __init__(self, settings: Settings, config: ModelConfig, fingerprint: str) -> None:
        self._settings = settings
        self._config = config
        self._fingerprint = fingerprint
        # Streams expire by event time, when they are scored. Redis' own expiry only collects what nobody asked for.
        self._garbage_after_ms = int(2000 * settings.state_ttl_s)
        self._redis: Any = connect(settings)
        self._is_cluster = settings.redis_parts.kind is RedisKind.CLUSTER
        self._claim_script = self._redis.register_script(_script("claim.lua"))
        self._begin_script = self._redis.register_script(_script("begin.lua"))
        self._flush_script = self._redis.register_script(_script("flush.lua"))

    async def probe(self) -> None:
        """Write a small key that soon expires. Raises REDIS_ERRORS when Redis would take no states now."""
        # A ping proves nothing: a full Redis and a replica answer it as well.
        await self._redis.set(f"{{{self._settings.group}:probe}}", b"", px=_PROBE_TTL_MS)

    async def claim(
        self, claimant: Claimant, topics: Mapping[TopicPartition, TopicInfo]
    ) -> dict[TopicPartition, Claim]:
        """Own the partitions in `topics`, in one round trip to each server, and learn where their states stand.

        Earlier owners are refused from here on. Partitions that a shadow must not claim are left out. What no worker
        would have written there counts as forgotten.
        """
        model = self._fingerprint, "shadow" if claimant.is_shadow else ""
        claims: list[dict[str, Any]] = [
            {
                "keys": [self._meta_key(tp), self._serving_key(tp)],
                "args": [claimant.token, claimant.transactional_id, *topic, self._garbage_after_ms, *model],
            }
            for tp, topic in topics.items()
        ]
        try:
            answers = await self._claim_all(claims)
        except ResponseError as error:
            if not _is_of_another_type(error):
                raise
            await self._delete_other_types(key for claim in claims for key in claim["keys"])
            answers = await self._claim_all(claims)
        found = zip(topics.items(), answers, strict=True)
        return {tp: read_claim(claimant.token, answer, topic) for (tp, topic), answer in found if answer}

    async def _claim_all(self, claims: Sequence[dict[str, Any]]) -> Sequence[Sequence[bytes]]:
        if self._is_cluster:
            # Each to its node; a cluster's pipeline does not load the script where a new master lacks it.
            return list(await asyncio.gather(*(self._claim_script(**claim) for claim in claims)))
        async with self._pipeline(transaction=False) as pipeline:
            for claim in claims:
                await self._claim_script(**claim, client=pipeline)
            answers: Sequence[Sequence[bytes]] = await pipeline.execute()
            return answers

    async def _delete_other_types(self, keys: Iterable[str]) -> None:
        for key in keys:
            try:
                await self._redis.hget(key, "owner")
            except ResponseError:
                await self._redis.delete(key)

    async def begin(self, tp: TopicPartition, token: str, successor: Fence, topic: TopicInfo) -> Verdict:
        """Begin the lineage of `successor`, without states, in place of what the owner of `token` has."""
        answer = await self._begin_script(
            keys=[self._meta_key(tp)],
            args=[token, successor.owner, successor.lineage, *topic, self._garbage_after_ms],
        )
        return Verdict(answer.decode())

    async def first_partition_counts(self, topics: Collection[str]) -> dict[str, int]:
        """The number of partitions that each topic had when the states of its first partition began, where known."""
        names = sorted(topics)
        keys = [self._meta_key(TopicPartition(name, 0)) for name in names]
        async with self._pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.hget(key, "partitions")
            answers = await pipeline.execute(raise_on_error=False)
        for answer in answers:
            if isinstance(answer, Exception) and not _is_of_another_type(answer):
                raise answer
        counts = zip(names, map(read_number, answers), strict=True)
        return {name: count for name, count in counts if count is not None}

    async def read(
        self, tp: TopicPartition, fence: Fence, streams: Sequence[str]
    ) -> tuple[Verdict, list[StreamEntry | None]]:
        """Entries of `streams`, in order, read in one transaction with the proof that `fence` still stands.

        UNREADABLE where an entry's bytes cannot be decoded: the log has what they stood for.
        """
        keys = [self._stream_key(tp, fence.lineage, stream) for stream in streams]
        async with self._pipeline(transaction=True) as transaction:
            transaction.hmget(self._meta_key(tp), *FENCE_FIELDS)
            # Not mget(): a cluster's pipeline refuses it, not knowing that the keys are of one slot.
            transaction.execute_command("MGET", *keys)
            stored, values = await transaction.execute(raise_on_error=False)
        for answer in (stored, values):
            if isinstance(answer, Exception) and not _is_of_another_type(answer):
                raise answer
        if isinstance(stored, Exception) or read_fence(stored) != fence:
            return Verdict.CHANGED, []
        try:
            return Verdict.OK, [self._decode(value) for value in values]
        except StateError:
            return Verdict.UNREADABLE, []

    async def flush(
        self,
        tp: TopicPartition,
        fence: Fence,
        entries: Mapping[str, StreamEntry | None],
        position: int,
        num_resets: int | None = None,
    ) -> Verdict:
        """Write `entries` (None deletes) and the `position` that they stand for, if `fence` still stands.

        num_resets: see Claim.
        """
        keys = [self._meta_key(tp), *(self._stream_key(tp, fence.lineage, stream) for stream in entries)]
        args = [
            fence.owner,
            fence.lineage,
            "" if fence.position is None else fence.position,
            position,
            self._garbage_after_ms,
            "" if num_resets is None else num_resets,
            *(entry.to_bytes(self._fingerprint) if entry else b"" for entry in entries.values()),
        ]
        try:
            answer = await self._flush_script(keys=keys, args=args)
        except ResponseError as error:
            if _is_of_another_type(error):
                return Verdict.CHANGED
            raise
        return Verdict(answer.decode())

    async def find(self, tp: TopicPartition, stream: str) -> FlushedEntry | None:
        """What was last flushed of `stream`, whoever owns the partition. For people; the worker uses `read`."""
        redis: Any = self._redis
        fence = read_fence(await redis.hmget(self._meta_key(tp), *FENCE_FIELDS))
        if fence is None:
            return None
        entry = self._decode(await redis.get(self._stream_key(tp, fence.lineage, stream)))
        return FlushedEntry(fence, entry) if entry else None

    async def forget(self, tp: TopicPartition) -> None:
        """Delete who owns a partition and where its states stand. For rehearsals; a worker would lose its states."""
        await self._redis.delete(self._meta_key(tp))

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    @asynccontextmanager
    async def _pipeline(self, *, transaction: bool) -> AsyncIterator[Any]:
        """A pipeline. A cluster's would keep asking a node that is gone: the client looks for its nodes again."""
        try:
            async with self._redis.pipeline(transaction=transaction) as pipeline:
                yield pipeline
        except REDIS_ERRORS:
            if self._is_cluster:
                await self._redis.aclose()
            raise

    def _decode(self, value: bytes | None) -> StreamEntry | None:
        return None if value is None else StreamEntry.from_bytes(value, self._config, self._fingerprint)

    def _prefix(self, tp: TopicPartition) -> str:
        return f"{self._slot(tp)}:{self._fingerprint}"

    def _slot(self, tp: TopicPartition) -> str:
        return f"{{{self._settings.group}:{tp.topic}:{tp.partition}}}"

    def _serving_key(self, tp: TopicPartition) -> str:
        return f"{self._slot(tp)}:serving"

    def _meta_key(self, tp: TopicPartition) -> str:
        return f"{self._prefix(tp)}:meta"

    def _stream_key(self, tp: TopicPartition, lineage: str, stream: str) -> str:
        return f"{self._prefix(tp)}:{lineage}:{stream}"


def _script(name: str) -> str:
    return (files("worker.state") / name).read_text(encoding="utf-8")


def _is_of_another_type(error: Exception) -> bool:
    """Whether somebody else has put a value of another type at a key of ours."""
    return "WRONGTYPE" in str(error)
