"""What the group coordinator knows: offsets and members; and how a transaction that moves offsets is ended."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Collection, Mapping
from contextlib import suppress
from typing import NamedTuple, TypeVar

from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, TransactionalIdAuthorizationFailed
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import HeartbeatRequest, SyncGroupRequest
from aiokafka.protocol.transaction import InitProducerIdRequest

from worker.kafka.access.causes import kafka_away
from worker.kafka.brokers import GROUP, TRANSACTION, Brokers, Response, UnsupportedRequestError
from worker.kafka.group_offsets import ExpelledError, GroupOffset
from worker.kafka.protocol.codes import (
    GENERATION_REFUSED,
    PRODUCER_BUSY,
    ErrorCode,
    codes_of,
    codes_of_topics,
    refusal,
)
from worker.kafka.protocol.offsets import Membership, OffsetFetchRequest
from worker.kafka.protocol.transactions import DescribeTransactionRequest, ListTransactionsRequest
from worker.kafka.transaction import TransactionalProducer
from worker.process import CrashPoints
from worker.records.types import TopicPartition
from worker.settings import Settings

Answer = TypeVar("Answer")

_BROKER_DECIDES_RETENTION = -1
_RETRY_S = 0.01
OPEN = ("Ongoing", "PrepareCommit", "PrepareAbort")
"""The states of transactions that are not over."""

COMMITTED = "CompleteCommit"
OVER = (COMMITTED, "CompleteAbort", "Empty")
"""The states of transactions that are over; Empty: a producer has been started since."""


class GroupOffsets(NamedTuple):
    """The offsets of a group: None for a partition without one. unstable: an open transaction may still move them."""

    offsets: dict[TopicPartition, GroupOffset | None]
    unstable: set[TopicPartition]


class Group:
    """Asks the coordinator of a consumer group.

    Every question raises DependencyError where it is not answered within the request timeout.
    """

    def __init__(self, settings: Settings, brokers: Brokers, group: str) -> None:
        self._settings = settings
        self._brokers = brokers
        self._group = group

    async def _bounded(self, question: Awaitable[Answer]) -> Answer:
        try:
            async with asyncio.timeout(self._settings.request_timeout_s):
                return await question
        except (GroupAuthorizationFailedError, TransactionalIdAuthorizationFailed) as error:
            raise refusal(f"group {self._group}, or a transactional id of it", error.errno) from error
        except (KafkaError, TimeoutError) as error:
            raise kafka_away(self._settings, error) from error

    async def offsets(self, tps: Collection[TopicPartition], *, stable: bool = True) -> GroupOffsets:
        """The group's offsets; with `stable` as far as no open transaction can move them, else as they are now."""
        by_topic: dict[str, list[int]] = defaultdict(list)
        for topic, number in tps:
            by_topic[topic].append(number)
        request = OffsetFetchRequest(self._group, list(by_topic.items()), require_stable=stable)
        response = await self._bounded(self._brokers.ask_coordinator(GROUP, self._group, request, codes_of))
        if response.error_code != ErrorCode.NONE:
            raise refusal(f"OffsetFetch of group {self._group}", response.error_code)
        found = GroupOffsets({}, set())
        for topic, partitions, _ in response.topics:
            for number, offset, _, metadata, code, _ in partitions:
                tp = TopicPartition(topic, number)
                if code == ErrorCode.UNSTABLE_OFFSET_COMMIT:
                    found.unstable.add(tp)
                elif code in {ErrorCode.NONE, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}:
                    found.offsets[tp] = GroupOffset(offset, metadata or "") if offset >= 0 else None
                else:
                    raise refusal(f"OffsetFetch of group {self._group}", code)
        return found

    async def commit(self, offsets: Mapping[TopicPartition, GroupOffset], membership: Membership) -> None:
        """Commit `offsets` outside of a transaction. Raises ExpelledError when the group goes on without the member."""
        by_topic: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
        for tp, (offset, metadata) in offsets.items():
            by_topic[tp.topic].append((tp.partition, offset, metadata))
        request = OffsetCommitRequest(
            self._group,
            membership.generation,
            membership.member_id,
            _BROKER_DECIDES_RETENTION,
            list(by_topic.items()),
        )
        response = await self._bounded(self._brokers.ask_coordinator(GROUP, self._group, request, codes_of_topics))
        refused = set(codes_of_topics(response)) - {ErrorCode.NONE}
        if refused & {*GENERATION_REFUSED, ErrorCode.REBALANCE_IN_PROGRESS}:
            raise ExpelledError(f"OffsetCommit: {sorted(refused)}")
        if refused:
            raise refusal(f"OffsetCommit of group {self._group}", min(refused))

    async def members(self) -> dict[str, str]:
        """The members of the group by their ids, each as its client id and host."""
        request = DescribeGroupsRequest([self._group])
        response = await self._bounded(self._brokers.ask_coordinator(GROUP, self._group, request, _codes_of_groups))
        ((code, _, _, _, _, members),) = response.groups
        if code != ErrorCode.NONE:
            raise refusal(f"DescribeGroups of group {self._group}", code)
        return {member_id: f"{client_id} at {host.lstrip('/')}" for member_id, client_id, host, *_ in members}

    async def is_member(self, membership: Membership) -> bool:
        """Whether the group still counts on this member, in this generation."""
        request = HeartbeatRequest(self._group, membership.generation, membership.member_id)
        response = await self._bounded(self._brokers.ask_coordinator(GROUP, self._group, request, codes_of))
        if response.error_code in {ErrorCode.NONE, ErrorCode.REBALANCE_IN_PROGRESS}:
            return True
        if response.error_code in GENERATION_REFUSED:
            return False
        raise refusal(f"Heartbeat of group {self._group}", response.error_code)

    async def is_replaced(self, membership: Membership) -> bool:
        """Whether another process has joined as the same static member.

        Asked with SyncGroup: the client's Heartbeat names no instance id, and is told of a replaced member what it is
        told of one whose session is over. A member of an earlier or the current generation changes nothing by it.
        """
        if membership.instance_id is None:
            return False
        request = SyncGroupRequest(self._group, membership.generation, membership.member_id, membership.instance_id, [])
        response = await self._bounded(self._brokers.ask_coordinator(GROUP, self._group, request, codes_of))
        return bool(response.error_code == ErrorCode.FENCED_INSTANCE_ID)

    async def end_transaction(self, transactional_id: str) -> None:
        """End what a producer of this id has open, committed if it had come that far, and fence the producer."""
        timeout_ms = int(self._settings.transaction_timeout_s * 1000)
        request = InitProducerIdRequest(transactional_id, timeout_ms)

        async def end() -> int:
            while True:
                response = await self._brokers.ask_coordinator(TRANSACTION, transactional_id, request, codes_of)
                if response.error_code not in PRODUCER_BUSY:
                    return int(response.error_code)
                await asyncio.sleep(_RETRY_S)

        code = await self._bounded(end())
        if code != ErrorCode.NONE:
            raise refusal(f"InitProducerId of {transactional_id}", code)

    async def end_again(self, transactional_id: str, *, commit: bool) -> None:
        """Write the markers of a transaction that is over once more, to every output partition and to the group.

        For a transaction whose markers the brokers have lost: coordinators of Kafka 4 take a partition that has no
        leader at the moment for a deleted one (KRaftMetadataCache.getPartitionLeaderEndpoint of 4.3.1). A marker of the
        same producer ends whatever that has open.
        """
        producer = TransactionalProducer(self._settings, self._brokers, transactional_id, CrashPoints(None))
        await producer.start()
        written = await self._partitions(self._settings.output_topics)
        await self._bounded(producer.end_empty(written, commit=commit, group=self._group))

    async def unstable(self, topics: Collection[str]) -> set[TopicPartition]:
        """The partitions of `topics` whose offsets an open transaction may still move."""
        return (await self.offsets(await self._partitions(topics))).unstable

    async def _partitions(self, topics: Collection[str]) -> list[TopicPartition]:
        counts = {topic: await self._bounded(self._brokers.num_partitions(topic)) for topic in topics}
        return [TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)]

    async def transaction_state(self, transactional_id: str) -> str:
        """The state of the transaction of this id; "" where it is unknown or the broker too old to tell."""
        request = DescribeTransactionRequest(transactional_id)
        question = self._brokers.ask_coordinator(TRANSACTION, transactional_id, request, _codes_of_transactions)
        try:
            ((code, _, state, *_),) = (await self._bounded(question)).transactions
        except UnsupportedRequestError:
            return ""
        return str(state) if code == ErrorCode.NONE else ""

    async def transactions(self, states: Collection[str]) -> dict[str, str]:
        """The transactional ids in these states, with their states, on every broker that answers and can tell."""
        found: dict[str, str] = {}
        for node_id in self._brokers.node_ids:
            with suppress(KafkaError, TimeoutError, UnsupportedRequestError):
                async with asyncio.timeout(self._settings.request_timeout_s):
                    response = await self._brokers.ask(node_id, ListTransactionsRequest(tuple(states)))
                found |= {transactional_id: state for transactional_id, _, state, *_ in response.transactions}
        return found


def _codes_of_groups(response: Response) -> list[int]:
    return [code for code, *_ in response.groups]


def _codes_of_transactions(response: Response) -> list[int]:
    return [code for code, *_ in response.transactions]
