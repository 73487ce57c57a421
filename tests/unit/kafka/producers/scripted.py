"""A transactional producer on brokers that are scripted, and what it sends by default."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from tests.factories.fake_brokers import FakeBrokers
from tests.factories.partitions import MEMBERSHIP
from tests.factories.records import TWEETS
from worker.kafka.group_offsets import GroupOffset
from worker.kafka.producer import ProducerRecord
from worker.kafka.transaction import TransactionalProducer
from worker.process import CrashPoints
from worker.records.types import TopicPartition
from worker.settings import load_settings

BOUND_S = 60
EVENTS = "sentiment.events"
SECOND = TopicPartition("tweets", 1)
RECORDS = [ProducerRecord(EVENTS, 0, b"a", b"1", []), ProducerRecord(EVENTS, 1, b"b", b"2", [])]
OFFSETS = {TWEETS: GroupOffset(7, "cluster/1"), SECOND: GroupOffset(9)}
WHOLE = {"InitProducerId", "AddPartitionsToTxn", "Produce", "AddOffsetsToTxn", "TxnOffsetCommit", "EndTxn"}


class Points(CrashPoints):
    """Notes the requests before each crash point."""

    def __init__(self, brokers: FakeBrokers) -> None:
        super().__init__(None)
        self.brokers = brokers
        self.reached: dict[str, list[str]] = {}

    def reach(self, name: str) -> None:
        self.reached[name] = self.brokers.names


class Scenario:
    """A producer that has started, on brokers that are scripted from there on."""

    def __init__(self, *, script: Mapping[str, Any] | None = None, **flags: Any) -> None:
        self.brokers = FakeBrokers(**dict(script or {}))
        self.points = Points(self.brokers)
        any_brokers: Any = self.brokers
        self.producer = TransactionalProducer(load_settings(**flags), any_brokers, "t", self.points)

    def commit(self, records: list[ProducerRecord] = RECORDS, times: int = 1) -> None:
        async def scenario() -> None:
            await self.producer.start()
            for _ in range(times):
                await self.producer.commit(records, OFFSETS, "group", MEMBERSHIP)

        asyncio.run(asyncio.wait_for(scenario(), BOUND_S))

    @property
    def results(self) -> list[bool]:
        """How each transaction was asked to end."""
        return [request.transaction_result for request in self.brokers.requests("EndTxn")]


def scripted(**script: Any) -> Scenario:
    return Scenario(script=script)
