"""Records and a group's offsets in one Kafka transaction.

Request by request; each may be sent again, since brokers know what they have already:

    AddPartitionsToTxn   the partitions that will be written to
    Produce              the records; beside it
    AddOffsetsToTxn      the group whose offsets will be written
    TxnOffsetCommit      the offsets, in the name of a member of the group
    EndTxn               the commit point

What is refused before EndTxn has not happened. A refusal of EndTxn itself leaves open what happened: the broker may
have carried out an earlier try whose answer was lost.

aiokafka's own producer commits offsets without the member's generation, retries a deleted topic for ever, wraps
refusals so that they cannot be told apart, and publishes with the next transaction what it was asked to abort.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from aiokafka.errors import KafkaError
from aiokafka.protocol.transaction import AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest

from worker.errors import RefusedError, UndecidedCommitError
from worker.kafka.brokers import GROUP, TRANSACTION, Brokers, Codes, Request
from worker.kafka.group_offsets import ExpelledError, GoneError, GroupOffset, raise_for_offsets
from worker.kafka.producer import Batch, BatchProducer, FencedError, ProducerRecord, TooLargeError, without
from worker.kafka.protocol.codes import (
    PRODUCER_REFUSED,
    TRANSACTION_BUSY,
    ErrorCode,
    codes_of,
    codes_of_topics,
    refusal,
)
from worker.kafka.protocol.offsets import NO_MEMBER, Membership, TxnOffsetCommitRequest
from worker.monitoring.tracing.tracing import NO_TRACING, Tracing
from worker.process import CrashPoints
from worker.records.types import TopicPartition
from worker.settings import Settings

# A broker that still writes the last transaction's markers, for a few milliseconds, refuses the next one with 51.
_RETRY_S = 0.001
_MAX_RETRY_S = 0.02


class _ForgottenError(Exception):
    """The broker has forgotten the transactional id, which was idle for too long: nothing has happened."""


class _DisturbedError(Exception):
    """An answer did not come before the transaction began: nothing is written in it yet."""


class TransactionContent(NamedTuple):
    """What a transaction writes: records, and a group's offsets in the name of one of its members."""

    records: list[ProducerRecord]
    offsets: Mapping[TopicPartition, GroupOffset]
    group: str
    membership: Membership


class TransactionalProducer(BatchProducer):
    """Records and a group's offsets in one Kafka transaction.

    Starting a second producer with the same transactional id fences the first and ends what it had open.
    """

    transactional_id: str

    def __init__(
        self,
        settings: Settings,
        brokers: Brokers,
        transactional_id: str,
        crash_points: CrashPoints,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        super().__init__(settings, brokers, transactional_id)
        self._tracing = tracing
        self._crash = crash_points.reach
        self._num_unanswered = 0
        self._committed: set[TopicPartition] = set()  # the partitions of the transactions since the last abort

    async def start(self) -> None:
        """See BatchProducer."""
        self._num_unanswered = self._brokers.num_unanswered
        await super().start()

    @property
    def is_disturbed(self) -> bool:
        """Whether an answer did not come since the last transaction began, and brokers answer again.

        Markers may be lost then (see Group.end_again); another commit, if only of the same offsets, writes them again.
        """
        return self._brokers.is_answering and self._has_unanswered and bool(self._committed)

    @property
    def _has_unanswered(self) -> bool:
        return self._brokers.num_unanswered > self._num_unanswered

    async def commit(
        self,
        records: Iterable[ProducerRecord],
        offsets: Mapping[TopicPartition, GroupOffset],
        group: str,
        membership: Membership = NO_MEMBER,
    ) -> None:
        """Publish `records` and commit `offsets` for `group` in the name of `membership`, as one.

        Raises, where nothing is committed, GoneError, ExpelledError and TooLargeError; FencedError and
        UndecidedCommitError where that is open; RefusedError when a broker does not take what is sent.
        """
        content = TransactionContent(list(records), offsets, group, membership)
        try:
            async with asyncio.timeout(self._settings.commit_timeout_s):
                with self._tracing.sending(content.records):
                    while not await self._prepare_or_abort(content):
                        pass
                self._crash("offsets_sent")
                with self._tracing.committing():
                    await self._end(commit=True)
        except (KafkaError, TimeoutError) as error:
            raise UndecidedCommitError.of(offsets, error) from error

    async def end_empty(self, tps: Collection[TopicPartition], *, commit: bool, group: str | None = None) -> None:
        """A transaction that writes nothing but its markers, to `tps` and to the offsets of `group`.

        Raises FencedError and RefusedError.
        """
        await self._add_partitions(tps)
        if group is not None:
            await self._add_group(group)
        await self._end(commit=commit)

    async def _prepare_or_abort(self, content: TransactionContent) -> bool:
        """Whether everything up to EndTxn is done; if not, batches were too large, and are smaller the next time."""
        try:
            await self._prepare(content)
        except TooLargeError as error:
            await self._end(commit=False)
            # The refused batch has sequence numbers that no later one may leave out; a new epoch begins at 0.
            await self.start()
            if error.refused:
                raise TooLargeError(error.tp, error.refused, without(content.records, error.refused)) from error
            return False
        except (GoneError, ExpelledError, RefusedError):
            await self._end(commit=False)
            raise
        return True

    async def _prepare(self, content: TransactionContent) -> None:
        """Everything up to EndTxn.

        After a request whose answer did not come, under another epoch: one of the last transaction that arrives late
        would end this one, or move its offsets back (KIP-890). What was committed gets its markers again first, since
        an abort would take with it whatever lacks them.
        """
        while True:
            try:
                if self._has_unanswered:
                    if self._committed:
                        await self.end_empty(self._committed, commit=True, group=content.group)
                    await self.start()
                return await self._send_all(content)
            except _ForgottenError:
                await self.start()
            except _DisturbedError:
                continue

    async def _send_all(self, content: TransactionContent) -> None:
        batches = await self._encode(content.records)
        await self._begin(batches, content.group)
        if self._has_unanswered and self._committed:
            raise _DisturbedError
        self._committed.update(batches)
        # Each to its end: a batch that is given up on its way has a sequence number that the next one leaves out, and
        # may arrive when the transaction is over.
        answers = await asyncio.gather(
            self._publish(batches),
            self._send_offsets(content, begun=bool(batches)),
            return_exceptions=True,
        )
        for answer in answers:
            if answer is not None:
                raise answer

    async def _begin(self, batches: Collection[TopicPartition], group: str) -> None:
        """The first request of the transaction."""
        await (self._add_partitions(batches) if batches else self._add_group(group, first=True))

    async def _add_partitions(self, tps: Collection[TopicPartition]) -> None:
        request = AddPartitionsToTxnRequest(self.transactional_id, *self._producer, _by_topic(tps))
        await self._ask(request, codes_of_topics, first=True)

    async def _add_group(self, group: str, *, first: bool = False) -> None:
        request = AddOffsetsToTxnRequest(self.transactional_id, *self._producer, group)
        await self._ask(request, codes_of, first=first)

    async def _publish(self, batches: Mapping[TopicPartition, list[Batch]]) -> None:
        await self._deliver(batches)
        self._crash("produced")

    async def _send_offsets(self, content: TransactionContent, *, begun: bool) -> None:
        _, offsets, group, membership = content
        if begun:
            await self._add_group(group)
        by_topic: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
        for tp, (offset, metadata) in offsets.items():
            by_topic[tp.topic].append((tp.partition, offset, metadata))
        sent = TxnOffsetCommitRequest(self.transactional_id, self._producer, group, membership, list(by_topic.items()))
        response = await self._brokers.ask_coordinator(GROUP, group, sent, codes_of_topics)
        raise_for_offsets(
            {TopicPartition(topic, one[0]): one[1] for topic, found, *_ in response.topics for one in found}
        )

    async def _end(self, *, commit: bool) -> None:
        if not commit:
            self._committed.clear()
        await self._ask(EndTxnRequest(self.transactional_id, *self._producer, commit), codes_of)

    async def _ask(self, request: Request, codes: Codes, *, first: bool = False) -> None:
        """Ask the transaction's coordinator until it accepts. `first`: whether the transaction begins with this."""
        wait_s = _RETRY_S
        while True:
            response = await self._brokers.ask_coordinator(TRANSACTION, self.transactional_id, request, codes)
            refused = set(codes(response)) - {ErrorCode.NONE}
            if not refused:
                return
            if first and ErrorCode.INVALID_PRODUCER_ID_MAPPING in refused:
                raise _ForgottenError
            name = type(request).__name__.removesuffix("Request")
            if refused & PRODUCER_REFUSED:
                raise FencedError(f"{name}: {sorted(refused)}")
            if not refused <= TRANSACTION_BUSY:
                raise refusal(name, min(refused - TRANSACTION_BUSY))
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, _MAX_RETRY_S)


def _by_topic(tps: Iterable[TopicPartition]) -> list[tuple[str, list[int]]]:
    found: dict[str, list[int]] = defaultdict(list)
    for topic, number in sorted(tps):
        found[topic].append(number)
    return list(found.items())
