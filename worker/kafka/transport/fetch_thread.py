"""The thread in which the consumer fetches: records stamped by seek, positions, offsets that a log does not hold."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError
from faust.transport.drivers import aiokafka as driver

from worker.kafka.clients import stop_consumer
from worker.kafka.protocol.batches import unpacking
from worker.records.types import TopicPartition

if TYPE_CHECKING:
    from worker.kafka.transport.consumer import BatchConsumer

_LOOK_S = 0.2
_COLLECT_BYTES = 1 << 16
_MIN_BYTES, _MAX_WAIT_MS = 1, 500  # aiokafka's own


class Fetched(NamedTuple):
    """Answer to one fetch.

    seek_number: number of the last seek when it returned. positions: where the consumer reads next, transaction
    markers passed over, and the log's end; every record before them is in this answer or an earlier one. Empty most of
    the time. out_of_range: partitions whose log does not hold the offset that was sought.
    """

    seek_number: int
    records: Mapping[Any, list[Any]]
    positions: Mapping[TopicPartition, tuple[int, int]]
    out_of_range: frozenset[TopicPartition] = frozenset()


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread that owns the aiokafka consumer."""

    consumer: BatchConsumer
    seek_number = -1
    _looked_at_s = 0.0

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        # Producers upstream may use transactions too; Faust would read what they aborted.
        consumer._isolation_level = "read_committed"
        return consumer

    async def _fetch_records(self, *args: Any, **kwargs: Any) -> Any:
        try:
            records = await self._fetch(*args, **kwargs)
        except OffsetOutOfRangeError as error:
            lost = frozenset(TopicPartition(*tp) for tp in error.args[0])
            return Fetched(self.seek_number, {}, {}, lost)
        except NoOffsetForPartitionError:
            # Of a partition that is not sought yet.
            return Fetched(self.seek_number, {}, {})
        # Stamped on return: a fetch that waited while the seek came brings what stands behind the seek.
        return Fetched(self.seek_number, records, await self._positions())

    async def _fetch(self, *args: Any, **kwargs: Any) -> Mapping[Any, list[Any]]:
        with unpacking(self._ensure_consumer()):
            records: Mapping[Any, list[Any]] = await super()._fetch_records(*args, **kwargs)
        if records and (wait_s := self.consumer.fetch_wait_s()):
            self._collect(wait_s)
        return records

    def _collect(self, wait_s: float) -> None:
        """Let the brokers collect records for `wait_s` before they answer the requests that follow right now.

        aiokafka asks ahead, as soon as its records are taken. Otherwise brokers answer as soon as there is one record,
        and at a moderate rate such answers are most of the cost, theirs and ours.
        """
        fetcher = self._ensure_consumer()._fetcher
        fetcher._fetch_min_bytes, fetcher._fetch_max_wait_ms = _COLLECT_BYTES, max(1, round(1000 * wait_s))
        # Should nothing come in that time, the next record is answered at once.
        asyncio.get_running_loop().call_later(wait_s / 2, _answer_at_once, fetcher)

    async def _positions(self) -> dict[TopicPartition, tuple[int, int]]:
        now = time.monotonic()
        if now - self._looked_at_s < _LOOK_S:
            return {}
        self._looked_at_s = now
        consumer = self._ensure_consumer()
        ends = {tp: consumer.highwater(tp) for tp in consumer.assignment() - consumer.paused()}
        fetched = {tp: end for tp, end in ends.items() if end is not None}
        return {TopicPartition(*tp): (await consumer.position(tp), end) for tp, end in fetched.items()}

    async def seek_all(self, seek_number: int, positions: Mapping[TopicPartition, int]) -> None:
        """Seek to `positions` where they are assigned; what is fetched from here on carries `seek_number`.

        Other partitions are not fetched from until a later seek names them.
        """
        consumer = self._ensure_consumer()
        self.seek_number, self._looked_at_s = seek_number, 0.0
        assigned = consumer.assignment()
        for tp in assigned:
            offset = positions.get(TopicPartition(*tp))
            consumer.seek(KafkaTopicPartition(*tp), offset or 0)
            if offset is None:
                consumer.pause(tp)
            else:
                consumer.resume(tp)

    async def on_thread_stop(self) -> None:
        """Leave the group, and close the connections."""
        if self._consumer is None:
            await super().on_thread_stop()
        else:
            await stop_consumer(self._consumer, super().on_thread_stop())

    async def ask_brokers(self) -> None:
        """Send one request to the cluster. Raises KafkaError when no broker answers it."""
        await self._ensure_consumer().topics()


def _answer_at_once(fetcher: Any) -> None:
    fetcher._fetch_min_bytes, fetcher._fetch_max_wait_ms = _MIN_BYTES, _MAX_WAIT_MS
