"""The thread in which the consumer fetches: records stamped by seek, positions, commits with the group's generation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaTopicPartition
from faust.transport.drivers import aiokafka as driver

from worker.records.types import TopicPartition


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread that owns the aiokafka consumer."""

    seek_number = -1

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        # Producers upstream may use transactions too; Faust would read what they aborted.
        consumer._isolation_level = "read_committed"
        return consumer

    async def _fetch_records(self, *args: Any, **kwargs: Any) -> Any:
        records = await super()._fetch_records(*args, **kwargs)
        # Stamped on return: a fetch that waited while the seek came brings what stands behind the seek.
        return self.seek_number, records

    async def seek_all(self, seek_number: int, positions: Mapping[TopicPartition, int]) -> None:
        """Seek to `positions` where they are assigned; what is fetched from here on carries `seek_number`."""
        consumer = self._ensure_consumer()
        self.seek_number = seek_number
        assigned = consumer.assignment()
        for tp, offset in positions.items():
            if tp in assigned:
                consumer.seek(KafkaTopicPartition(*tp), offset)

    async def read_positions(self) -> dict[TopicPartition, tuple[int, int]]:
        """Per assigned partition: where the consumer reads next (transaction markers passed over), and the log's end.

        Partitions that were not fetched from yet are left out.
        """
        consumer = self._ensure_consumer()
        ends = {tp: consumer.highwater(tp) for tp in consumer.assignment()}
        fetched = {tp: end for tp, end in ends.items() if end is not None}
        return {TopicPartition(*tp): (await consumer.position(tp), end) for tp, end in fetched.items()}

    async def ask_brokers(self) -> None:
        """Send one request to the cluster. Raises KafkaError when no broker answers it."""
        await self._ensure_consumer().topics()

    async def commit_offset(self, tp: TopicPartition, offset: int) -> None:
        """Commit with the group's generation, so that an expelled member is refused. Raises KafkaError."""
        await self._ensure_consumer().commit({KafkaTopicPartition(*tp): offset})
