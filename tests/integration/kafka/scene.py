"""Brokers and the group of a workplace, as tests of transactions and of members use them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer

from tests.kafka_tools import delete_topics
from tests.workplace import Workplace
from worker.kafka.brokers import Brokers
from worker.kafka.group import Group, GroupOffsets
from worker.kafka.group_offsets import GroupOffset
from worker.kafka.log import Log
from worker.kafka.producer import ProducerRecord
from worker.kafka.protocol.offsets import Membership
from worker.kafka.transaction import TransactionalProducer, TransactionContent
from worker.process import CrashPoints
from worker.records.types import TopicPartition

RETRY_S = 0.05
Scenario = Callable[["Scene"], Awaitable[None]]


class Scene:
    """Brokers, and the group of a workplace."""

    def __init__(self, workplace: Workplace, brokers: Brokers) -> None:
        self.settings = workplace.settings
        self.brokers = brokers
        self.group = Group(self.settings, brokers, self.settings.group)
        self.log = Log(self.settings, brokers)
        self.tp = TopicPartition(workplace.topic, 0)
        self.second = TopicPartition(workplace.settings.topics[1], 0)

    async def new_producer(self, name: str = "one") -> TransactionalProducer:
        producer = TransactionalProducer(self.settings, self.brokers, self.id_of(name), CrashPoints(None))
        await producer.start()
        return producer

    def id_of(self, name: str) -> str:
        return f"{self.settings.group}-{name}"

    def event(self, value: bytes) -> ProducerRecord:
        return ProducerRecord(self.settings.events_topic, 0, b"key", value, [])

    async def commit(self, producer: TransactionalProducer, value: bytes, offset: int, *membership: Membership) -> None:
        await producer.commit([self.event(value)], {self.tp: GroupOffset(offset)}, self.settings.group, *membership)

    async def stop_before_the_end(self, producer: TransactionalProducer, value: bytes, offset: int) -> None:
        """Leave a transaction open, with everything in it."""
        offsets = {self.tp: GroupOffset(offset)}
        await producer._prepare(
            TransactionContent([self.event(value)], offsets, self.settings.group, Membership(-1, "", None))
        )

    async def delete_topic(self, name: str) -> None:
        """Delete a topic, and wait until the brokers no longer know it."""
        await asyncio.to_thread(delete_topics, self.settings.kafka, [name])
        while name in await self.log.topic_ids([name]):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(RETRY_S)

    async def offsets(self) -> GroupOffsets:
        return await self.group.offsets([self.tp])

    async def offset(self) -> int | None:
        """Of the group, once it is certain."""
        while True:
            offsets, unstable = await self.offsets()
            if not unstable:
                found = offsets[self.tp]
                return None if found is None else found.offset
            await asyncio.sleep(RETRY_S)


@asynccontextmanager
async def member(scene: Scene, instance_id: str | None = None) -> AsyncIterator[tuple[AIOKafkaConsumer, Membership]]:
    """A member of the group, and its membership as of its first assignment."""
    consumer = AIOKafkaConsumer(
        scene.tp.topic,
        bootstrap_servers=scene.settings.kafka,
        group_id=scene.settings.group,
        group_instance_id=instance_id,
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        yield consumer, await membership_of(consumer, instance_id)
    finally:
        await consumer.stop()


async def membership_of(consumer: AIOKafkaConsumer, instance_id: str | None = None) -> Membership:
    while not consumer.assignment():
        await consumer.getmany(timeout_ms=10)
    coordinator: Any = consumer._coordinator
    return Membership(coordinator.generation, coordinator.member_id, instance_id)


async def later_membership_of(consumer: AIOKafkaConsumer, before: Membership) -> Membership:
    while (now := await membership_of(consumer)).generation == before.generation:  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(RETRY_S)
    return now
