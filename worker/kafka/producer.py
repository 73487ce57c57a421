"""A producer of whole batches of records, which are written once however often they are sent."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from aiokafka.errors import KafkaError
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from worker.kafka.access.causes import kafka_away
from worker.kafka.brokers import TRANSACTION, Brokers, Request, Response
from worker.kafka.protocol.codes import LEADER_MOVES, PRODUCER_REFUSED, ErrorCode, refusal
from worker.records.types import Header, TopicPartition
from worker.settings import Settings

_MAX_BATCH_BYTES = 1 << 18
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
_ALL_REPLICAS = -1
_RETRY_S = 0.02


class FencedError(Exception):
    """Kafka accepts nothing more of this producer: another has its id, or its transaction took too long."""


class ProducerRecord(NamedTuple):
    """A record and where it goes.

    partition: modulo the number of partitions of the topic. timestamp_ms: None for the present.
    """

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Iterable[Header]
    timestamp_ms: int | None = None


class BatchProducer:
    """Sends whole batches, each record once: a broker knows what it has already from this producer."""

    def __init__(self, settings: Settings, brokers: Brokers, transactional_id: str | None = None) -> None:
        self._settings = settings
        self._brokers = brokers
        self.transactional_id = transactional_id
        self._producer = (-1, -1)  # the producer's id and epoch
        self._sequences: dict[TopicPartition, int] = defaultdict(int)

    async def start(self) -> None:
        """Get a producer id. With a transactional id this ends what a producer of that id had open, and fences it.

        Raises DependencyError when Kafka does not answer within the request timeout, RefusedError when it refuses.
        """
        timeout_ms = int(self._settings.transaction_timeout_s * 1000)
        request = InitProducerIdRequest(self.transactional_id, timeout_ms)
        try:
            async with asyncio.timeout(self._settings.request_timeout_s):
                response = await self._init_producer_id(request)
        except (KafkaError, TimeoutError) as error:
            raise kafka_away(self._settings, error) from error
        self._producer = (response.producer_id, response.producer_epoch)
        self._sequences.clear()

    async def _init_producer_id(self, request: Request) -> Response:
        while True:
            if self.transactional_id is None:
                response = await self._brokers.ask_any(request)
            else:
                response = await self._brokers.ask_coordinator(TRANSACTION, self.transactional_id, request, _codes)
            if response.error_code == ErrorCode.NONE:
                return response
            # The transaction that this ends is being ended.
            if response.error_code not in {ErrorCode.CONCURRENT_TRANSACTIONS, *LEADER_MOVES}:
                raise refusal("InitProducerId", response.error_code)
            await asyncio.sleep(_RETRY_S)

    async def send(self, records: Iterable[ProducerRecord]) -> None:
        """Send `records`, those of a partition in their order; returns when every delivery is acknowledged.

        Raises FencedError, RefusedError when a broker does not take a record, and KafkaError.
        """
        await self._deliver(await self._encode(records))

    async def _encode(self, records: Iterable[ProducerRecord]) -> dict[TopicPartition, list[bytes]]:
        """The record batches of each partition, in order."""
        builders: dict[TopicPartition, Any] = {}
        batches: dict[TopicPartition, list[bytes]] = defaultdict(list)
        counts: dict[TopicPartition, int] = defaultdict(int)
        num_partitions: dict[str, int] = {}
        for topic, number, key, value, headers, timestamp_ms in records:
            if topic not in num_partitions:
                num_partitions[topic] = max(1, await self._brokers.num_partitions(topic))
            tp = TopicPartition(topic, number % num_partitions[topic])
            record = {"timestamp": timestamp_ms, "key": key, "value": value, "headers": list(headers)}
            builder = builders.get(tp)
            if builder is None or builder.append(counts[tp], **record) is None:
                if builder is not None:
                    batches[tp].append(self._close(tp, builder, counts[tp]))
                builder, counts[tp] = self._new_builder(tp), 0
                builders[tp] = builder
                # The first record of a batch fits, whatever its size: the topic's limit decides.
                builder.append(0, **record)
            counts[tp] += 1
        for tp, builder in builders.items():
            batches[tp].append(self._close(tp, builder, counts[tp]))
        return batches

    def _new_builder(self, tp: TopicPartition) -> Any:
        return DefaultRecordBatchBuilder(
            magic=2,
            compression_type=CODECS[self._settings.compression],
            is_transactional=self.transactional_id is not None,
            producer_id=self._producer[0],
            producer_epoch=self._producer[1],
            base_sequence=self._sequences[tp],
            batch_size=_MAX_BATCH_BYTES,
        )

    def _close(self, tp: TopicPartition, builder: Any, num_records: int) -> bytes:
        # Sequence numbers are 31 bits wide, and begin again at 0.
        self._sequences[tp] = (self._sequences[tp] + num_records) % (1 << 31)
        return bytes(builder.build())

    async def _deliver(self, batches: Mapping[TopicPartition, list[bytes]]) -> None:
        rounds = max(map(len, batches.values()), default=0)
        for number in range(rounds):
            await self._produce({tp: of_tp[number] for tp, of_tp in batches.items() if len(of_tp) > number})

    async def _produce(self, batches: dict[TopicPartition, bytes]) -> None:
        """One batch a partition, sent until each is acknowledged."""
        left = dict(batches)
        while True:
            leaders = await self._brokers.leaders(left)
            answers = await asyncio.gather(
                *(self._produce_to(node_id, {tp: left[tp] for tp in tps}) for node_id, tps in leaders.items())
            )
            for tp, code in (pair for answer in answers for pair in answer.items()):
                if code in {ErrorCode.NONE, ErrorCode.DUPLICATE_SEQUENCE_NUMBER}:
                    del left[tp]
                elif code in PRODUCER_REFUSED:
                    raise FencedError(f"Produce to {tp}: {code}")
                elif code not in LEADER_MOVES:
                    raise refusal(f"Produce to {tp.topic}-{tp.partition}", code)
            if not left:
                return
            await self._brokers.refresh()
            await asyncio.sleep(_RETRY_S)

    async def _produce_to(self, node_id: int, batches: Mapping[TopicPartition, bytes]) -> dict[TopicPartition, int]:
        """The error code of each partition; none for a broker that does not answer."""
        by_topic: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
        for tp, batch in batches.items():
            by_topic[tp.topic].append((tp.partition, batch))
        timeout_ms = int(self._settings.request_timeout_s * 1000)
        request = ProduceRequest(self.transactional_id, _ALL_REPLICAS, timeout_ms, list(by_topic.items()))
        try:
            response = await self._brokers.ask(node_id, request)
        except KafkaError as error:
            if not error.retriable:
                raise
            return {}
        return {TopicPartition(topic, one[0]): one[1] for topic, found in response.topics for one in found}


def _codes(response: Response) -> tuple[int, ...]:
    return (response.error_code,)
