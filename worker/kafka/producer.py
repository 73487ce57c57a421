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

from worker.errors import RefusedError
from worker.kafka.access.causes import kafka_away
from worker.kafka.brokers import TRANSACTION, Brokers, Request, Response, ask_if_there
from worker.kafka.protocol.codes import (
    COORDINATOR_MOVES,
    LEADER_MOVES,
    PRODUCER_BUSY,
    PRODUCER_REFUSED,
    TOO_LARGE,
    ErrorCode,
    codes_of,
    refusal,
)
from worker.records.types import Header, TopicPartition, content_bytes
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

    @property
    def identity(self) -> tuple[str, bytes | None, bytes | None]:
        """What tells it from other records of a micro-batch: topic, key and value."""
        return self.topic, self.key, self.value

    @property
    def num_bytes(self) -> int:
        """The bytes of its key, value and headers."""
        return content_bytes(self.key, self.value, self.headers)


class Batch(NamedTuple):
    """A batch as it goes to the broker, and the records in it."""

    data: bytes
    records: list[ProducerRecord]


class TooLargeError(RefusedError):
    """A topic takes less than was sent to it (its max.message.bytes, else the broker's message.max.bytes).

    refused: the records that are too large by themselves. undelivered: every other record that no broker has
    acknowledged, in order. Within a transaction nothing is delivered.
    """

    def __init__(self, tp: TopicPartition, refused: list[ProducerRecord], undelivered: list[ProducerRecord]) -> None:
        meaning = f"MESSAGE_SIZE_TOO_LARGE. A record is larger than max.message.bytes of {tp.topic}, or of the broker"
        super().__init__(f"Produce to {tp.topic}-{tp.partition}", ErrorCode.MESSAGE_TOO_LARGE, meaning)
        self.tp = tp
        self.refused = refused
        self.undelivered = undelivered


class BatchProducer:
    """Sends whole batches, each record once: a broker knows what it has already from this producer."""

    def __init__(self, settings: Settings, brokers: Brokers, transactional_id: str | None = None) -> None:
        self._settings = settings
        self._brokers = brokers
        self.transactional_id = transactional_id
        self._producer = (-1, -1)  # the producer's id and epoch
        self._sequences: dict[TopicPartition, int] = defaultdict(int)
        self._max_batch_bytes: dict[str, int] = defaultdict(lambda: _MAX_BATCH_BYTES)

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
                response = await self._brokers.ask_coordinator(TRANSACTION, self.transactional_id, request, codes_of)
            if response.error_code == ErrorCode.NONE:
                return response
            # The transaction that this ends is being ended, or a broker has just started.
            if response.error_code not in PRODUCER_BUSY | LEADER_MOVES | COORDINATOR_MOVES:
                raise refusal("InitProducerId", response.error_code)
            await asyncio.sleep(_RETRY_S)

    async def send(self, records: Iterable[ProducerRecord]) -> None:
        """Send `records`, those of a partition in their order; returns when every delivery is acknowledged.

        Raises TooLargeError when a topic takes less than a record, FencedError, RefusedError when a broker does not
        take a record for another reason, and KafkaError.
        """
        left = list(records)
        while True:
            try:
                await self._deliver(await self._encode(left))
            except TooLargeError as error:
                await self.start()  # sequence numbers begin again
                if error.refused:
                    raise
                left = error.undelivered
            else:
                return

    async def _encode(self, records: Iterable[ProducerRecord]) -> dict[TopicPartition, list[Batch]]:
        """The record batches of each partition, in order."""
        builders: dict[TopicPartition, Any] = {}
        batches: dict[TopicPartition, list[Batch]] = defaultdict(list)
        members: dict[TopicPartition, list[ProducerRecord]] = {}
        num_partitions: dict[str, int] = {}
        for sent in records:
            topic, number, key, value, headers, timestamp_ms = sent
            if topic not in num_partitions:
                num_partitions[topic] = max(1, await self._brokers.num_partitions(topic))
            tp = TopicPartition(topic, number % num_partitions[topic])
            record = {"timestamp": timestamp_ms, "key": key, "value": value, "headers": list(headers)}
            builder = builders.get(tp)
            if builder is None or builder.append(len(members[tp]), **record) is None:
                if builder is not None:
                    batches[tp].append(self._close(tp, builder, members[tp]))
                builder, members[tp] = self._new_builder(tp), []
                builders[tp] = builder
                # The first record of a batch fits, whatever its size: the topic's limit decides.
                builder.append(0, **record)
            members[tp].append(sent)
        for tp, builder in builders.items():
            batches[tp].append(self._close(tp, builder, members[tp]))
        return batches

    def _new_builder(self, tp: TopicPartition) -> Any:
        return DefaultRecordBatchBuilder(
            magic=2,
            compression_type=CODECS[self._settings.compression],
            is_transactional=self.transactional_id is not None,
            producer_id=self._producer[0],
            producer_epoch=self._producer[1],
            base_sequence=self._sequences[tp],
            batch_size=self._max_batch_bytes[tp.topic],
        )

    def _close(self, tp: TopicPartition, builder: Any, records: list[ProducerRecord]) -> Batch:
        # Sequence numbers are 31 bits wide, and begin again at 0.
        self._sequences[tp] = (self._sequences[tp] + len(records)) % (1 << 31)
        return Batch(bytes(builder.build()), records)

    async def _deliver(self, batches: Mapping[TopicPartition, list[Batch]]) -> None:
        """Send the batches, one a partition at a time.

        After a TooLargeError the producer has to be started again: a refused batch leaves a gap in the sequence.
        """
        rounds = max(map(len, batches.values()), default=0)
        for number in range(rounds):
            too_large = await self._produce({tp: of_tp[number] for tp, of_tp in batches.items() if len(of_tp) > number})
            if too_large:
                left = [batch for tp, of_tp in batches.items() for batch in of_tp[number + (tp not in too_large) :]]
                raise self._shrink(too_large, [record for batch in left for record in batch.records])

    def _shrink(self, too_large: Mapping[TopicPartition, Batch], left: list[ProducerRecord]) -> TooLargeError:
        """Make the batches of several records smaller; a record alone that is refused, and what is no smaller, is."""
        smallest: dict[str, int] = {}
        for tp, batch in too_large.items():
            if len(batch.records) == 1:
                smallest[tp.topic] = min(smallest.get(tp.topic, batch.records[0].num_bytes), batch.records[0].num_bytes)
            else:
                self._max_batch_bytes[tp.topic] = min(self._max_batch_bytes[tp.topic], len(batch.data) // 2)
        refused = [one for one in left if one.topic in smallest and one.num_bytes >= smallest[one.topic]]
        undelivered = [one for one in left if one.topic not in smallest or one.num_bytes < smallest[one.topic]]
        tp = next((tp for tp in too_large if tp.topic in smallest), next(iter(too_large)))
        return TooLargeError(tp, refused, undelivered)

    async def _produce(self, batches: dict[TopicPartition, Batch]) -> dict[TopicPartition, Batch]:
        """One batch a partition, sent until each is acknowledged; returns those that are too large."""
        left, too_large = dict(batches), {}
        while True:
            leaders = await self._brokers.leaders(left)
            answers = await asyncio.gather(
                *(self._produce_to(node_id, {tp: left[tp].data for tp in tps}) for node_id, tps in leaders.items())
            )
            for tp, code in (pair for answer in answers for pair in answer.items()):
                if code in {ErrorCode.NONE, ErrorCode.DUPLICATE_SEQUENCE_NUMBER}:
                    del left[tp]
                elif code in TOO_LARGE:
                    too_large[tp] = left.pop(tp)
                elif code in PRODUCER_REFUSED:
                    raise FencedError(f"Produce to {tp}: {code}")
                elif code not in LEADER_MOVES:
                    raise refusal(f"Produce to {tp.topic}-{tp.partition}", code)
            if not left:
                return too_large
            await self._brokers.refresh()
            await asyncio.sleep(_RETRY_S)

    async def _produce_to(self, node_id: int, batches: Mapping[TopicPartition, bytes]) -> dict[TopicPartition, int]:
        """The error code of each partition; none for a broker that does not answer."""
        by_topic: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
        for tp, batch in batches.items():
            by_topic[tp.topic].append((tp.partition, batch))
        timeout_ms = int(self._settings.request_timeout_s * 1000)
        request = ProduceRequest(self.transactional_id, _ALL_REPLICAS, timeout_ms, list(by_topic.items()))
        response = await ask_if_there(self._brokers, node_id, request)
        if response is None:
            return {}
        return {TopicPartition(topic, one[0]): one[1] for topic, found in response.topics for one in found}


def without(records: list[ProducerRecord], refused: list[ProducerRecord]) -> list[ProducerRecord]:
    """`records` in order, but for `refused`."""
    left_out = {id(record) for record in refused}
    return [record for record in records if id(record) not in left_out]
