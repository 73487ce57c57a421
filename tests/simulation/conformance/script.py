"""Scripts of requests that the models and the real servers must answer alike."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    InitProducerIdRequest,
)
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from tests.simulation.kafka_model.members import MEMBER_ID_REQUIRED
from worker.kafka.brokers import GROUP, TRANSACTION
from worker.kafka.group import Group
from worker.kafka.log_tail import LogTail
from worker.kafka.protocol.codes import ErrorCode, codes_of_topics
from worker.kafka.protocol.offsets import NO_MEMBER, Membership, OffsetFetchRequest, TxnOffsetCommitRequest
from worker.kafka.protocol.topics import TopicIdsRequest
from worker.kafka.protocol.transactions import DescribeTransactionRequest, ListTransactionsRequest
from worker.records.types import TopicPartition
from worker.settings import load_settings

TIMEOUT_MS = 30_000
_RETRY_S = 0.05

Producer = tuple[int, int]


class Servers(Protocol):
    """A cluster that a script runs on: two clients, and topics of the script's own."""

    clients: tuple[Any, Any]
    prefix: str

    async def create_topic(self, name: str, num_partitions: int) -> None: ...
    async def delete_topic(self, name: str) -> None: ...


class Script:
    """Sends requests and notes their answers."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self.group = f"{servers.prefix}-group"
        self.out = f"{servers.prefix}.out"
        self.into = f"{servers.prefix}.in"
        self.answers: list[tuple[str, Any]] = []

    def note(self, name: str, answer: Any) -> Any:
        """Keep an answer."""
        self.answers.append((name, answer))
        return answer

    def txn_id(self, name: str) -> str:
        """A transactional id of this script."""
        return f"{self.servers.prefix}-{name}"

    async def ask(
        self, kind: Any, key: str, request: Any, codes: Callable[[Any], Iterable[int]], client: int = 0
    ) -> Any:
        """The answer of a coordinator, once the transaction before is over."""
        while True:
            response = await self.servers.clients[client].ask_coordinator(kind, key, request, codes)
            if ErrorCode.CONCURRENT_TRANSACTIONS not in codes(response):
                return response
            await asyncio.sleep(_RETRY_S)

    async def init(self, name: str, timeout_ms: int = TIMEOUT_MS) -> Producer:
        """InitProducerId."""
        transactional_id = self.txn_id(name)
        request = InitProducerIdRequest(transactional_id, timeout_ms)
        response = await self.ask(TRANSACTION, transactional_id, request, _code)
        self.note("InitProducerId", (response.error_code, response.producer_epoch))
        return response.producer_id, response.producer_epoch

    async def add(self, name: str, producer: Producer, topic: str, *partitions: int) -> None:
        """AddPartitionsToTxn."""
        request = AddPartitionsToTxnRequest(self.txn_id(name), *producer, [(topic, list(partitions))])
        response = await self.ask(TRANSACTION, self.txn_id(name), request, codes_of_topics)
        self.note("AddPartitionsToTxn", sorted(codes_of_topics(response)))  # brokers answer in the order of a hash

    async def add_offsets(self, name: str, producer: Producer) -> None:
        """AddOffsetsToTxn."""
        request = AddOffsetsToTxnRequest(self.txn_id(name), *producer, self.group)
        self.note("AddOffsetsToTxn", (await self.ask(TRANSACTION, self.txn_id(name), request, _code)).error_code)

    async def produce(
        self,
        name: str | None,
        producer: Producer,
        *values: bytes,
        sequence: int = 0,
        partition: int = 0,
        topic: str = "",
    ) -> None:
        """Produce: one batch."""
        builder = DefaultRecordBatchBuilder(
            magic=2,
            compression_type=0,
            is_transactional=name is not None,
            producer_id=producer[0],
            producer_epoch=producer[1],
            base_sequence=sequence,
            batch_size=1 << 16,
        )
        for number, value in enumerate(values):
            builder.append(number, timestamp=1000 + number, key=None, value=value, headers=[])
        topics = [(topic or self.out, [(partition, bytes(builder.build()))])]
        request = ProduceRequest(self.txn_id(name) if name else None, -1, TIMEOUT_MS, topics)
        client = self.servers.clients[0]
        (node_id,) = client.node_ids
        while True:
            response = await client.ask(node_id, request)
            found = [one[1:3] for _, partitions in response.topics for one in partitions]
            if not any(code == ErrorCode.NOT_LEADER_OR_FOLLOWER for code, _ in found):
                break
            await asyncio.sleep(_RETRY_S)  # a topic was created a moment ago
        self.note("Produce", found)

    async def offsets(
        self, name: str, producer: Producer, offset: int, membership: Membership = NO_MEMBER, topic: str = ""
    ) -> None:
        """TxnOffsetCommit."""
        topics = [(topic or self.into, [(0, offset, "")])]
        request = TxnOffsetCommitRequest(self.txn_id(name), producer, self.group, membership, topics)
        response = await self.ask(GROUP, self.group, request, codes_of_topics)
        self.note("TxnOffsetCommit", codes_of_topics(response))

    async def end(self, name: str, producer: Producer, *, commit: bool) -> None:
        """EndTxn."""
        request = EndTxnRequest(self.txn_id(name), *producer, commit)
        self.note("EndTxn", (await self.ask(TRANSACTION, self.txn_id(name), request, _code)).error_code)

    async def fetch_offsets(self, *, stable: bool, settled: bool = True) -> None:
        """OffsetFetch; `settled`: once no offset is unstable."""
        request = OffsetFetchRequest(self.group, [(self.into, [0, 1])], require_stable=stable)
        while True:
            response = await self.ask(GROUP, self.group, request, _code)
            found = [(one[1], one[4]) for _, partitions, *_ in response.topics for one in partitions]
            if not (settled and any(code == ErrorCode.UNSTABLE_OFFSET_COMMIT for _, code in found)):
                self.note("OffsetFetch", found)
                return
            await asyncio.sleep(_RETRY_S)

    async def list_offsets(self, *times: int, isolation: int = 0, topic: str = "") -> None:
        """ListOffsets."""
        client = self.servers.clients[0]
        (node_id,) = client.node_ids
        for time in times:
            request = OffsetRequest(-1, isolation, [(topic or self.out, [(0, time)])])
            response = await client.ask(node_id, request)
            self.note("ListOffsets", [(one[1], one[3]) for _, found in response.topics for one in found])

    async def tail(self, num_offsets: int) -> None:
        """Fetch: what a reader of committed records finds at the end of the log."""
        tp = TopicPartition(self.out, 0)
        tail = LogTail(load_settings(request_timeout_s=TIMEOUT_MS / 1000), self.servers.clients[0])
        records, is_whole = (await tail.read([tp], num_offsets))[tp]
        self.note("tail", ([(record.offset, record.value) for record in records], is_whole))

    async def members(self, membership: Membership) -> None:
        """DescribeGroups: how many members there are, and whether this is one."""
        found = await Group(load_settings(), self.servers.clients[0], self.group).members()
        self.note("DescribeGroups", (len(found), membership.member_id in found))

    async def topic_id(self, topic: str) -> bytes:
        """Metadata: the topic's id."""
        response = await self.servers.clients[0].ask_any(TopicIdsRequest([topic]))
        ((code, name, topic_id, *_),) = response.topics
        self.note("Metadata", (code, name == topic))
        return bytes(topic_id)

    async def open_transactions(self) -> None:
        """ListTransactions: those of this script that are open."""
        client = self.servers.clients[0]
        (node_id,) = client.node_ids
        response = await client.ask(node_id, ListTransactionsRequest(["Ongoing"]))
        names = [one[0] for one in response.transactions if one[0].startswith(self.servers.prefix)]
        self.note("ListTransactions", [name.removeprefix(self.servers.prefix) for name in names])

    async def state(self, name: str, *, settled: bool = True) -> None:
        """DescribeTransactions: the state of this id's transaction; `settled`: once it is not on its way to its end."""
        request = DescribeTransactionRequest(self.txn_id(name))
        while True:
            response = await self.ask(TRANSACTION, self.txn_id(name), request, lambda r: [r.transactions[0][0]])
            code, _, state, *_ = response.transactions[0]
            if not (settled and state.startswith("Prepare")):
                self.note("DescribeTransactions", (code, state))
                return
            await asyncio.sleep(_RETRY_S)

    async def join(
        self, member_id: str = "", instance_id: str | None = None, client: int = 0, *, is_noted: bool = True
    ) -> Any:
        """JoinGroup, with the id that the group gives. Of two that join at once, whose answer is first is chance."""
        while True:
            protocols = [("range", b"\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff")]
            member = member_id, instance_id, "consumer", protocols
            request = JoinGroupRequest(self.group, TIMEOUT_MS, TIMEOUT_MS, *member)
            response = await self.ask(GROUP, self.group, request, _code, client)
            if is_noted:
                self.note_join(response)
            if response.error_code != MEMBER_ID_REQUIRED:
                return response
            member_id = response.member_id

    def note_join(self, response: Any) -> None:
        """What a JoinGroup was answered."""
        is_leader = response.leader_id == response.member_id and response.error_code == 0
        self.note("JoinGroup", (response.error_code, response.generation_id, is_leader))

    async def sync(self, membership: Membership, assigned: Iterable[tuple[str, bytes]] = (), client: int = 0) -> None:
        """SyncGroup."""
        generation, member_id, instance_id = membership
        request = SyncGroupRequest(self.group, generation, member_id, instance_id, list(assigned))
        response = await self.ask(GROUP, self.group, request, _code, client)
        self.note("SyncGroup", (response.error_code, bytes(response.member_assignment)))

    async def heartbeat(self, membership: Membership) -> None:
        """Heartbeat."""
        request = HeartbeatRequest(self.group, membership.generation, membership.member_id)
        self.note("Heartbeat", (await self.ask(GROUP, self.group, request, _code)).error_code)

    async def leave(self, membership: Membership) -> None:
        """LeaveGroup."""
        request = LeaveGroupRequest(self.group, membership.member_id)
        self.note("LeaveGroup", (await self.ask(GROUP, self.group, request, _code)).error_code)

    async def commit(self, membership: Membership, offset: int) -> None:
        """OffsetCommit, outside of a transaction."""
        topics = [(self.into, [(1, offset, "")])]
        request = OffsetCommitRequest(self.group, membership.generation, membership.member_id, -1, topics)
        response = await self.ask(GROUP, self.group, request, codes_of_topics)
        self.note("OffsetCommit", codes_of_topics(response))


ScriptBody = Callable[[Script], Awaitable[None]]


def _code(response: Any) -> tuple[int, ...]:
    return (response.error_code,)
