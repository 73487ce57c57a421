"""Bugs that the simulation must find: each is the worker's code with one thing left out or turned round."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock

from aiokafka.protocol.commit import OffsetCommitRequest

from tests.simulation.run import Outcome, run_seed
from tests.simulation.worker.consumer import SimulatedConsumer
from worker.kafka import group
from worker.kafka.brokers import GROUP
from worker.kafka.log import Log, LogBounds
from worker.kafka.protocol.offsets import NO_MEMBER, OffsetFetchRequest
from worker.kafka.transaction import TransactionalProducer
from worker.ownership import plan
from worker.ownership.manager import PartitionManager
from worker.ownership.partition import Partition
from worker.ownership.predecessors import Predecessors
from worker.ownership.takeover import TakeOver
from worker.processing.pipeline import Pipeline
from worker.processing.scoring import Slice
from worker.records.types import TopicPartition
from worker.state import store

Planted = Callable[[], AbstractContextManager[Any]]

_FAR = 1 << 60


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
    return _script_without("flush.lua", ["stored[1] ~= ARGV[1] or "])


def flush_under_another_lineage() -> AbstractContextManager[Any]:
    """A flush writes whatever lineage and position stand in Redis."""
    return _script_without("flush.lua", [" or stored[2] ~= ARGV[2] or (stored[3] or '') ~= ARGV[3]"])


def begin_by_a_paused_claimer() -> AbstractContextManager[Any]:
    """A claimer that is not the owner any more may begin anew."""
    return _script_without(
        "begin.lua", ["if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 'changed' end"]
    )


def offset_outside_of_the_transaction() -> AbstractContextManager[Any]:
    """The group's offsets are committed by themselves, before the transaction ends."""

    async def send_offsets(self: Any, offsets: Any, name: str, membership: Any, *, begun: bool) -> None:
        topics: dict[str, list[tuple[int, int, str]]] = {}
        for tp, (offset, metadata) in offsets.items():
            topics.setdefault(tp.topic, []).append((tp.partition, offset, metadata))
        request = OffsetCommitRequest(name, membership.generation, membership.member_id, -1, list(topics.items()))
        await self._brokers.ask_coordinator(GROUP, name, request, lambda _: ())

    return mock.patch.object(TransactionalProducer, "_send_offsets", send_offsets)


def _predecessors_without(name: str) -> AbstractContextManager[Any]:
    """Predecessors whose method of this name does nothing."""

    async def nothing(*_: Any) -> None: ...

    return mock.patch.object(Predecessors, name, nothing)


def offsets_in_nobodys_name() -> AbstractContextManager[Any]:
    """Offsets are committed without member and generation, as aiokafka does."""
    commit = TransactionalProducer.commit

    async def anonymous(self: Any, records: Any, offsets: Any, name: str, _: Any = NO_MEMBER) -> None:
        await commit(self, records, offsets, name)

    return mock.patch.object(TransactionalProducer, "commit", anonymous)


@contextmanager
def unstable_offset_read() -> Iterator[None]:
    """The group's offset is read while a transaction may still move it, before that is ended by its id."""
    request = OffsetFetchRequest
    unstable = mock.patch.object(group, "OffsetFetchRequest", lambda *a, **_: request(*a, require_stable=False))
    with unstable, _predecessors_without("end_known"):
        yield


def predecessor_not_ended() -> AbstractContextManager[Any]:
    """What a dead predecessor has open is left to its time-out."""
    return _predecessors_without("_end")


def end_of_the_log_ignored() -> AbstractContextManager[Any]:
    """A log that was cut looks as long as it was."""
    bounds = Log.bounds

    async def endless(self: Log, tps: Any) -> dict[TopicPartition, LogBounds]:
        return {tp: found._replace(end=_FAR) for tp, found in (await bounds(self, tps)).items()}

    return mock.patch.object(Log, "bounds", endless)


@contextmanager
def topic_ids_ignored() -> Iterator[None]:
    """A topic of the same name is the same topic."""
    with (
        mock.patch.object(plan, "_is_same", lambda *_: True),
        mock.patch.object(PartitionManager, "_has_changed", lambda *_: False),
    ):
        yield


def published_during_replay() -> AbstractContextManager[Any]:
    """Records below the group's offset are published again."""
    return mock.patch.object(Slice, "is_replayed", lambda *_: False)


def ended_before_everything_is_written() -> AbstractContextManager[Any]:
    """The transaction ends beside the delivery of its records."""

    async def publish(self: Any, batches: Any) -> None:
        asyncio.ensure_future(self._deliver(batches)).add_done_callback(lambda done: done.exception())

    return mock.patch.object(TransactionalProducer, "_publish", publish)


def late_requests_accepted() -> AbstractContextManager[Any]:
    """After an answer was lost the next transaction goes on under the same epoch (KIP-890)."""
    commit = TransactionalProducer.commit

    async def unaware(self: Any, *arguments: Any) -> None:
        self._num_unanswered = self._brokers.num_unanswered
        await commit(self, *arguments)

    return mock.patch.object(TransactionalProducer, "commit", unaware)


def reseek_missing() -> AbstractContextManager[Any]:
    """The consumer reads on where it was after states were lost."""

    async def recover(self: Any, partition: Any) -> bool:
        return bool(await self._checkpointer.recover(partition))

    async def recover_lost(self: Any) -> None:
        await self._checkpointer.recover_lost(list(self._manager.partitions.values()))

    return mock.patch.multiple(Pipeline, _recover=recover, _recover_lost=recover_lost)


def fetched_records_kept_over_a_seek() -> AbstractContextManager[Any]:
    """What was fetched before a seek goes on to the pipeline."""

    def drop_fetched(self: Any) -> None:
        self._seek_number += 1

    return mock.patch.object(SimulatedConsumer, "_drop_fetched", drop_fetched)


def rebuild_over_markers_never_ends() -> AbstractContextManager[Any]:
    """A partition is only done at a record."""
    return mock.patch.object(
        Partition, "is_done_at", lambda self, _: self.owned and self.applied == self.taken == self.committed
    )


def lost_states_ignored() -> AbstractContextManager[Any]:
    """Whatever Redis holds after a loss is taken for what was written."""

    async def recover(self: Any, partition: Partition) -> bool:
        async with partition.redis_lock:
            claim = await self._claim_again(partition.tp, partition.publisher, partition.topic)
            partition.renew(claim.token)
            partition._fence = partition._fence._replace(
                lineage=claim.lineage or partition._fence.lineage, position=claim.position
            )
            return False

    return mock.patch.object(TakeOver, "recover", recover)


def group_offset_ignored() -> AbstractContextManager[Any]:
    """A take-over begins where the states are, whatever the group has committed."""
    offsets = group.Group.offsets

    async def none(self: Any, tps: Any) -> Any:
        found = await offsets(self, tps)
        return found._replace(offsets=dict.fromkeys(found.offsets))

    return mock.patch.object(group.Group, "offsets", none)


ALL: dict[str, Planted] = {
    planted.__name__: planted
    for planted in (
        no_owner_token,
        flush_under_another_lineage,
        begin_by_a_paused_claimer,
        offset_outside_of_the_transaction,
        offsets_in_nobodys_name,
        unstable_offset_read,
        predecessor_not_ended,
        end_of_the_log_ignored,
        topic_ids_ignored,
        published_during_replay,
        ended_before_everything_is_written,
        late_requests_accepted,
        reseek_missing,
        fetched_records_kept_over_a_seek,
        rebuild_over_markers_never_ends,
        lost_states_ignored,
        group_offset_ignored,
    )
}


RARE = frozenset(
    {
        "no_owner_token",
        "begin_by_a_paused_claimer",
        "late_requests_accepted",
        "rebuild_over_markers_never_ends",
        # A worker that was paused is refused by its ended id as well, unless Redis forgot whom to end.
        "offsets_in_nobodys_name",
    }
)
"""Found after more than forty seeds."""


def first_seed_that_finds(name: str, first_seed: int, max_seeds: int) -> Outcome | None:
    """The first of `max_seeds` seeds that finds the planted bug; None where none does."""
    with ALL[name]():
        for seed in range(first_seed, first_seed + max_seeds):
            outcome = run_seed(seed)
            if outcome.differences:
                return outcome
    return None
