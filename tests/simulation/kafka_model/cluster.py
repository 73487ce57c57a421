"""A cluster of one broker: takes the worker's request objects and answers with responses of the same shape."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from aiokafka.record.default_records import DefaultRecordBatch

from tests.simulation.kafka_model.batches import encode
from tests.simulation.kafka_model.group import Group
from tests.simulation.kafka_model.group_coordinator import GroupCoordinator, by_topic
from tests.simulation.kafka_model.log import Entry, PartitionLog, Topic
from tests.simulation.kafka_model.transactions import Transaction, TransactionCoordinator
from tests.simulation.loop import SimulatedLoop
from worker.kafka.protocol.codes import ErrorCode
from worker.records.types import TopicPartition

Response = Any
FetchAnswer = dict[TopicPartition, tuple[list[Entry], int, int] | None]
"""Per partition the records, the position after them and the log's end; None where the offset is out of range."""

NODE_ID = 1
_EARLIEST, _LATEST = -2, -1
_READ_COMMITTED = 1
_MAX_FETCHED, _MAX_READ = 20, 100


class Cluster:
    """Topics, groups and transactions. `handle` answers a request at the virtual time at which it arrives."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop
        self._num_topics = 0
        self._fetching: list[Callable[[], None]] = []
        self.topics: dict[str, Topic] = {}
        self.coordinator = TransactionCoordinator(loop, self)
        self._group_coordinator = GroupCoordinator(loop, self.log, self.coordinator)
        self._handlers: dict[str, Callable[[Any], Response]] = {
            "InitProducerIdRequest": self._init_producer_id,
            "AddPartitionsToTxnRequest": self._add_partitions,
            "AddOffsetsToTxnRequest": self._add_offsets,
            "ProduceRequest": self._produce,
            "EndTxnRequest": self._end_txn,
            "OffsetRequest": self._list_offsets,
            "FetchRequest": self._fetch_bytes,
            "TopicIdsRequest": self._topic_ids,
            "ListTransactionsRequest": self._list_transactions,
            "DescribeTransactionRequest": self._describe_transaction,
        } | self._group_coordinator.handlers

    def handle(self, request: Any) -> Response | asyncio.Future[Response]:
        """The response, or the future of one that takes time."""
        return self._handlers[type(request).__name__](request)

    # topics

    def create_topic(self, name: str, num_partitions: int) -> None:
        """Create a topic, with an id that no topic has had."""
        self._num_topics += 1
        logs = [PartitionLog() for _ in range(num_partitions)]
        self.topics[name] = Topic(self._num_topics.to_bytes(16, "big"), logs)

    def delete_topic(self, name: str) -> None:
        """Delete a topic, and with it what groups have committed for it."""
        del self.topics[name]
        self._group_coordinator.forget_topic(name)

    def log(self, tp: TopicPartition) -> PartitionLog | None:
        """The partition's log; None where there is none."""
        topic = self.topics.get(tp.topic)
        return topic.logs[tp.partition] if topic is not None and tp.partition < len(topic.logs) else None

    def fetch(self, offsets: dict[TopicPartition, int], wait_s: float) -> FetchAnswer | asyncio.Future[FetchAnswer]:
        """Committed records from `offsets` on; without any, the answer waits for a while."""
        found = self._fetch(offsets)
        if any(answer is None or answer[0] or answer[1] > offsets[tp] for tp, answer in found.items()):
            return found
        waiting: asyncio.Future[FetchAnswer] = self._loop.create_future()

        def answer() -> None:
            if not waiting.done():
                waiting.set_result(self._fetch(offsets))

        self._fetching.append(answer)
        self._loop.in_world(wait_s, answer)
        return waiting

    def wake_readers(self) -> None:
        """Answer the fetches that wait for records."""
        fetching, self._fetching = self._fetching, []
        for answer in fetching:
            answer()

    def _fetch(self, offsets: dict[TopicPartition, int]) -> FetchAnswer:
        found: FetchAnswer = {}
        for tp, offset in offsets.items():
            log = self.log(tp)
            if log is None:
                continue
            in_range = log.start <= offset <= log.offset
            found[tp] = (*log.committed(offset, _MAX_FETCHED), log.offset) if in_range else None
        return found

    def _fetch_bytes(self, request: Any) -> Response:
        """A Fetch of read_committed that waits for nothing, as version 11 is answered."""

        def read(tp: TopicPartition, offset: int) -> tuple[Any, ...]:
            log = self.log(tp)
            if log is None:
                return tp.partition, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1, -1, -1, [], -1, b""
            if not log.start <= offset <= log.offset:
                return tp.partition, ErrorCode.OFFSET_OUT_OF_RANGE, -1, -1, -1, [], -1, b""
            stable, (found, aborted) = log.last_stable_offset, log.stable(offset, _MAX_READ)
            return tp.partition, ErrorCode.NONE, log.offset, stable, log.start, aborted, -1, encode(found)

        topics = [
            (name, [read(TopicPartition(name, number), offset) for number, offset, _ in asked])
            for name, asked in request._topics
        ]
        return SimpleNamespace(API_VERSION=11, topics=topics)

    def group(self, name: str) -> Group:
        """The group, made by the first request that names it."""
        return self._group_coordinator.group(name)

    @property
    def groups(self) -> GroupCoordinator:
        """The coordinator of groups."""
        return self._group_coordinator

    def _list_offsets(self, request: Any) -> Response:
        def find(tp: TopicPartition, time: int) -> tuple[int, int, int, int]:
            log = self.log(tp)
            if log is None:
                return tp.partition, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1, -1
            if time == _EARLIEST:
                return tp.partition, ErrorCode.NONE, -1, log.start
            if time == _LATEST:
                committed = request._isolation_level == _READ_COMMITTED
                return tp.partition, ErrorCode.NONE, -1, log.last_stable_offset if committed else log.offset
            return tp.partition, ErrorCode.NONE, *log.since(time)

        topics = [
            (name, [find(TopicPartition(name, one[0]), one[1]) for one in asked]) for name, asked in request._topics
        ]
        return SimpleNamespace(topics=topics)

    def _topic_ids(self, request: Any) -> Response:
        def describe(name: str) -> tuple[Any, ...]:
            topic = self.topics.get(name)
            if topic is None:
                return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, name, bytes(16), False, [], 0, {}
            numbers = range(len(topic.logs))
            partitions: Any = [(0, number, NODE_ID, 0, [NODE_ID], [NODE_ID], [], {}) for number in numbers]
            return ErrorCode.NONE, name, topic.topic_id, False, partitions, 0, {}

        return SimpleNamespace(cluster_id="simulated", topics=[describe(name) for name in request.names])

    # producers and transactions

    def _init_producer_id(self, request: Any) -> Response:
        found = self.coordinator.init_producer_id(request._transactional_id, request._transaction_timeout_ms)
        return SimpleNamespace(**dict(zip(("error_code", "producer_id", "producer_epoch"), found, strict=True)))

    def _add_partitions(self, request: Any) -> Response:
        tps = [TopicPartition(name, number) for name, numbers in request._topics for number in numbers]
        codes: dict[TopicPartition, ErrorCode] = {}
        if any(self.log(tp) is None for tp in tps):
            for tp in tps:
                gone = self.log(tp) is None
                codes[tp] = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if gone else ErrorCode.OPERATION_NOT_ATTEMPTED
        else:
            producer = request._producer_id, request._producer_epoch
            codes = dict.fromkeys(tps, self.coordinator.add(request._transactional_id, producer, set(tps), set()))
        return SimpleNamespace(errors=by_topic((tp, (tp.partition, code)) for tp, code in codes.items()))

    def _add_offsets(self, request: Any) -> Response:
        producer = request._producer_id, request._producer_epoch
        groups = {request._group_id}
        return SimpleNamespace(error_code=self.coordinator.add(request._transactional_id, producer, set(), groups))

    def _end_txn(self, request: Any) -> Response:
        producer = request._producer_id, request._producer_epoch
        commit = request._transaction_result
        return SimpleNamespace(error_code=self.coordinator.end(request._transactional_id, producer, commit=commit))

    def _produce(self, request: Any) -> Response:
        def append(tp: TopicPartition, data: bytes) -> tuple[int, int, int, int, int]:
            log = self.log(tp)
            if log is None:
                return tp.partition, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1, -1, -1
            batch = DefaultRecordBatch(data)
            in_transaction = batch.is_transactional and self.coordinator.holds(
                (batch.producer_id, batch.producer_epoch), tp=tp
            )
            code, offset = log.produce(batch, list(batch), in_transaction=in_transaction)
            return tp.partition, code, offset, -1, log.start

        topics = [(name, [append(TopicPartition(name, n), data) for n, data in sent]) for name, sent in request._topics]
        return SimpleNamespace(topics=topics)

    def _list_transactions(self, request: Any) -> Response:
        found: Any = [
            (name, transaction.producer_id, str(transaction.state), {})
            for name, transaction in self.coordinator.transactions.items()
            if not request.states or transaction.state in request.states
        ]
        return SimpleNamespace(error_code=ErrorCode.NONE, transactions=found)

    def _describe_transaction(self, request: Any) -> Response:
        name = request.transactional_id
        found = self.coordinator.transactions.get(name)
        described: Any = (105, name, "") if found is None else (ErrorCode.NONE, name, str(found.state))
        return SimpleNamespace(transactions=[described])

    def write_markers(self, transaction: Transaction, *, commit: bool) -> None:
        """End the transaction in its partitions and groups."""
        for tp in sorted(transaction.tps):
            log = self.log(tp)
            if log is not None:
                now_ms = int(self._loop.time() * 1000)
                log.mark(transaction.producer_id, transaction.epoch, commit=commit, now_ms=now_ms)
        for name in sorted(transaction.groups):
            self.group(name).offsets.mark(transaction.producer_id, transaction.epoch, commit=commit)
