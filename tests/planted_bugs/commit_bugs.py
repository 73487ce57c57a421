"""Bugs in transactions, in the offsets that they commit, and in what is published."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock

from aiokafka.protocol.commit import OffsetCommitRequest

from tests.planted_bugs.takeover_bugs import predecessor_not_ended
from worker.kafka.brokers import GROUP
from worker.kafka.protocol.offsets import NO_MEMBER
from worker.kafka.transaction import TransactionalProducer, TransactionContent
from worker.processing.slices import Slice


def offset_outside_of_the_transaction() -> AbstractContextManager[Any]:
    """The group's offsets are committed by themselves, before the transaction ends."""

    async def send_offsets(self: Any, content: TransactionContent, *, begun: bool) -> None:
        _, offsets, name, membership = content
        topics: dict[str, list[tuple[int, int, str]]] = {}
        for tp, (offset, metadata) in offsets.items():
            topics.setdefault(tp.topic, []).append((tp.partition, offset, metadata))
        request = OffsetCommitRequest(name, membership.generation, membership.member_id, -1, list(topics.items()))
        await self._brokers.ask_coordinator(GROUP, name, request, lambda _: ())

    return mock.patch.object(TransactionalProducer, "_send_offsets", send_offsets)


def offsets_in_nobodys_name() -> AbstractContextManager[Any]:
    """Offsets are committed without member and generation, as aiokafka does."""
    commit = TransactionalProducer.commit

    async def anonymous(self: Any, records: Any, offsets: Any, name: str, _: Any = NO_MEMBER) -> None:
        await commit(self, records, offsets, name)

    return mock.patch.object(TransactionalProducer, "commit", anonymous)


@contextmanager
def producers_not_fenced() -> Iterator[None]:
    """Nothing fences a producer: predecessors are not ended, and offsets are committed in nobody's name."""
    with predecessor_not_ended(), offsets_in_nobodys_name():
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
