"""A cluster that is scripted: error codes, or errors to raise, by the name of the request."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable
from types import SimpleNamespace
from typing import Any

from tests.factories.partitions import TOPIC
from worker.kafka.protocol.codes import COORDINATOR_MOVES
from worker.records.types import TopicPartition

Answer = int | Exception | dict[TopicPartition, int] | Callable[[], Awaitable[None]]
"""A code for all partitions, an error, a code for some partitions, or what to wait for before code 0."""

CLUSTER, TOPIC_ID = TOPIC.topic_id.partition("/")[0], bytes(15) + b"\x01"


class FakeBrokers:
    """Notes the requests, as they would be on the wire, and answers as `script` says; with code 0 in the end."""

    def __init__(self, **script: list[Answer]) -> None:
        self.script = {name: list(answers) for name, answers in script.items()}
        self.sent: list[tuple[str, Any]] = []
        self.num_partitions_of: dict[str, int] = defaultdict(lambda: 3)
        self.leader_of: dict[TopicPartition, int] = defaultdict(int)
        self.offsets: dict[TopicPartition, tuple[int, str]] = {}
        self.times: dict[int, int] = {}
        self.transactions: dict[int, list[str]] = {0: []}
        self.fetched: Callable[[int], bytes] = lambda _: b""
        self.num_refreshes = 0
        self.num_unanswered = 0
        self.is_answering = True
        self.next_producer_id = 0

    @property
    def names(self) -> list[str]:
        """The requests by name, in order."""
        return [name for name, _ in self.sent]

    def requests(self, name: str) -> list[Any]:
        """The requests of this name, with the fields of Kafka's protocol."""
        return [request for sent, request in self.sent if sent == name]

    @property
    def node_ids(self) -> list[int]:
        return list(self.transactions)

    async def ask(self, node_id: int, request: Any) -> Any:
        name = type(request).__name__.removesuffix("Request")
        wire = request.prepare({request.API_KEY: (0, 99)})
        self.sent.append((name, wire))
        answers = self.script.get(name)
        answer = answers.pop(0) if answers else 0
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            await answer()
            answer = 0
        return getattr(self, f"_{name}")(wire, answer, node_id)

    async def ask_any(self, request: Any) -> Any:
        return await self.ask(0, request)

    async def ask_coordinator(self, _: Any, __: str, request: Any, codes: Callable[[Any], Iterable[int]]) -> Any:
        while True:
            response = await self.ask(0, request)
            await asyncio.sleep(0)
            if COORDINATOR_MOVES.isdisjoint(codes(response)):
                return response

    async def leaders(self, tps: Collection[TopicPartition]) -> dict[int, list[TopicPartition]]:
        found: dict[int, list[TopicPartition]] = defaultdict(list)
        for tp in tps:
            found[self.leader_of[tp]].append(tp)
        return found

    async def num_partitions(self, topic: str) -> int:
        return self.num_partitions_of[topic]

    async def refresh(self, _: Iterable[str] = ()) -> None:
        self.num_refreshes += 1

    # Answers, in the shape in which aiokafka decodes them

    def _InitProducerId(self, _: Any, code: Any, __: int) -> Any:
        self.next_producer_id += 1
        return SimpleNamespace(error_code=code, producer_id=self.next_producer_id, producer_epoch=0)

    def _AddPartitionsToTxn(self, request: Any, code: Any, _: int) -> Any:
        return SimpleNamespace(errors=[(topic, [(n, code) for n in numbers]) for topic, numbers in request.topics])

    def _of_whole(self, _: Any, code: Any, __: int) -> Any:
        return SimpleNamespace(error_code=code)

    _AddOffsetsToTxn = _EndTxn = _Heartbeat = _SyncGroup = _of_whole

    def _TxnOffsetCommit(self, request: Any, code: Any, _: int) -> Any:
        topics: list[Any] = [
            (topic, [(n, _of(code, topic, n), {}) for n, *_ in found], {}) for topic, found, _ in request.topics
        ]
        return SimpleNamespace(topics=topics)

    def _OffsetCommit(self, request: Any, code: Any, _: int) -> Any:
        topics: list[Any] = [(topic, [(n, _of(code, topic, n)) for n, *_ in found]) for topic, found in request.topics]
        return SimpleNamespace(topics=topics)

    def _Produce(self, request: Any, code: Any, _: int) -> Any:
        topics: list[Any] = [
            (topic, [(n, _of(code, topic, n), 0) for n, _ in batches]) for topic, batches in request.topics
        ]
        return SimpleNamespace(topics=topics)

    def _OffsetFetch(self, request: Any, code: Any, _: int) -> Any:
        def of(topic: str, number: int) -> tuple[Any, ...]:
            offset, metadata = self.offsets.get(TopicPartition(topic, number), (-1, ""))
            return number, offset, -1, metadata, _of(code, topic, number), {}

        topics: list[Any] = [(topic, [of(topic, n) for n in numbers], {}) for topic, numbers, _ in request.topics]
        return SimpleNamespace(error_code=code if isinstance(code, int) else 0, topics=topics)

    def _ListTransactions(self, _: Any, code: Any, node_id: int) -> Any:
        return SimpleNamespace(
            error_code=code, transactions=[(one, 1, "Ongoing") for one in self.transactions[node_id]]
        )

    def _DescribeTransaction(self, request: Any, code: Any, _: int) -> Any:
        (name,) = request.transactional_ids
        return SimpleNamespace(transactions=[(code, name, "CompleteCommit" if code == 0 else "")])

    def _TopicIds(self, request: Any, code: Any, _: int) -> Any:
        topics: list[Any] = [(code, name, TOPIC_ID, False, [], 0, {}) for _, name, _ in request.topics]
        return SimpleNamespace(cluster_id=CLUSTER, topics=topics)

    def _Fetch(self, request: Any, code: Any, _: int) -> Any:
        def of(topic: str, number: int, offset: int) -> tuple[Any, ...]:
            code_of, end = _of(code, topic, number), self.times.get(-1, -1)
            return number, code_of, end, end, 0, [], -1, b"" if code_of else self.fetched(offset)

        topics: list[Any] = [(name, [of(name, one[0], one[2]) for one in asked]) for name, asked in request.topics]
        return SimpleNamespace(API_VERSION=11, topics=topics)

    def _Offset(self, request: Any, code: Any, _: int) -> Any:
        def of(topic: str, number: int, time_ms: int) -> tuple[int, int, int, int]:
            return number, _of(code, topic, number), -1, self.times.get(min(time_ms, 0), -1)

        return SimpleNamespace(topics=[(topic, [of(topic, *one) for one in found]) for topic, found in request.topics])


def _of(code: int | dict[TopicPartition, int], topic: str, number: int) -> int:
    return code if isinstance(code, int) else code.get(TopicPartition(topic, number), 0)
