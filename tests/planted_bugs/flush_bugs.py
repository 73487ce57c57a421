"""Bugs in what fences the states in Redis: the worker's Lua scripts, and what follows from their refusal."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

from worker.ownership.partition import Partition
from worker.ownership.takeover import TakeOver
from worker.processing.pipeline import Pipeline
from worker.state import store

_TOKEN = "stored[1] ~= ARGV[1] or "
_LINEAGE = "stored[2] ~= ARGV[2]"
_POSITION = " or (stored[3] or '') ~= ARGV[3]"


def _script_without(name: str, checks: Sequence[str]) -> AbstractContextManager[Any]:
    """One of the Lua scripts without some of its text."""
    read = store._script

    def changed(asked: str) -> str:
        script = read(asked)
        for check in checks if asked == name else ():
            assert check in script, f"{name} has changed: {check}"
            script = script.replace(check, "")
        return script

    return mock.patch.object(store, "_script", changed)


def no_owner_token() -> AbstractContextManager[Any]:
    """A flush asks for its lineage and position alone."""
    return _script_without("flush.lua", [_TOKEN])


def flush_by_lineage_alone() -> AbstractContextManager[Any]:
    """A flush asks for its lineage alone: neither the owner's token nor the position fences it."""
    return _script_without("flush.lua", [_TOKEN, _POSITION])


def flush_under_another_lineage() -> AbstractContextManager[Any]:
    """A flush writes whatever lineage and position stand in Redis."""
    return _script_without("flush.lua", [f" or {_LINEAGE}{_POSITION}"])


def begin_by_a_paused_claimer() -> AbstractContextManager[Any]:
    """A claimer that is not the owner any more may begin anew."""
    return _script_without(
        "begin.lua", ["if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 'changed' end"]
    )


def lost_states_ignored() -> AbstractContextManager[Any]:
    """Whatever Redis holds after a loss is taken for what was written."""

    async def recover(self: Any, partition: Partition, **_: Any) -> bool:
        async with partition.redis_lock:
            claim = await self._claim_again(partition.tp, partition.publisher, partition.topic)
            if claim is None:
                self._let_go(partition)
                return False
            partition.renew(claim.token)
            partition._fence = partition._fence._replace(
                lineage=claim.lineage or partition._fence.lineage, position=claim.position
            )
            return False

    return mock.patch.object(TakeOver, "recover", recover)


def reseek_missing() -> AbstractContextManager[Any]:
    """The consumer reads on where it was after states were lost."""

    async def recover(self: Any, partition: Any, verdict: Any) -> bool:
        return bool(await self._checkpointer.recover(partition, verdict))

    async def recover_lost(self: Any) -> None:
        await self._checkpointer.recover_lost(list(self._manager.partitions.values()))

    return mock.patch.multiple(Pipeline, _recover=recover, _recover_lost=recover_lost)
