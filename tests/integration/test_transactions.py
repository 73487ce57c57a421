"""Transactions of our own requests on a real broker: what a reader of committed records sees, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer

from tests.factories import CONFIG, new_entry, new_observers
from tests.kafka_tools import create_topics, delete_topics, read_to_end
from tests.workplace import Workplace
from worker.kafka.brokers import Brokers
from worker.kafka.group import OPEN, Group, GroupOffsets
from worker.kafka.group_offsets import ExpelledError, GoneError, GroupOffset
from worker.kafka.log import Log
from worker.kafka.producer import FencedError, ProducerRecord
from worker.kafka.protocol.offsets import Membership
from worker.kafka.transaction import TransactionalProducer, TransactionContent
from worker.ownership.publisher import ExactlyOncePublisher
from worker.ownership.takeover import TakeOver
from worker.process import CrashPoints
from worker.records.types import OutputRecord, TopicPartition
from worker.state.claims import Claimant, Fence, TopicInfo, Verdict
from worker.state.store import StateStore

BOUND_S = 120
RETRY_S = 0.05
FINGERPRINT = "0123456789abcdef"

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


@pytest.fixture
def run(workplace: Workplace) -> Callable[[Scenario], None]:
    def run_scenario(scenario: Scenario) -> None:
        async def with_brokers() -> None:
            async with Brokers(workplace.settings) as brokers:
                await asyncio.wait_for(scenario(Scene(workplace, brokers)), BOUND_S)

        asyncio.run(with_brokers())

    return run_scenario


@pytest.fixture
def seen(workplace: Workplace) -> Callable[[], list[bytes]]:
    """What a reader of committed records sees on the events topic."""
    return lambda: [record.value for record in read_to_end(workplace.settings.kafka, workplace.settings.events_topic)]


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


def test_records_and_offsets_are_committed_as_one(run: Callable[[Scenario], None], seen: Any) -> None:
    async def scenario(scene: Scene) -> None:
        producer = await scene.new_producer()
        for number in range(3):
            await scene.commit(producer, b"%d" % number, number + 1)
        assert await scene.offset() == 3

    run(scenario)
    assert seen() == [b"0", b"1", b"2"]


def test_offsets_note_their_metadata(run: Callable[[Scenario], None]) -> None:
    async def scenario(scene: Scene) -> None:
        producer = await scene.new_producer()
        ids = await scene.log.topic_ids([scene.tp.topic])
        noted = GroupOffset(5, ids[scene.tp.topic])
        await producer.commit([], {scene.tp: noted}, scene.settings.group)
        await scene.offset()
        assert (await scene.offsets()).offsets == {scene.tp: noted}

    run(scenario)


def test_what_was_aborted_is_never_published_later(run: Callable[[Scenario], None], seen: Any) -> None:
    async def scenario(scene: Scene) -> None:
        producer = await scene.new_producer()
        stale = Membership(99, "nobody", None)
        async with member(scene):
            with pytest.raises(ExpelledError):
                await scene.commit(producer, b"aborted", 7, stale)
            assert await scene.offset() is None
        for number in range(3):
            await scene.commit(producer, b"%d" % number, number + 1)
        assert await scene.offset() == 3

    run(scenario)
    assert seen() == [b"0", b"1", b"2"]


def test_a_predecessors_open_transaction_is_ended_by_its_id_and_the_offsets_are_certain_then(
    run: Callable[[Scenario], None], seen: Any
) -> None:
    async def scenario(scene: Scene) -> None:
        dead = await scene.new_producer("dead")
        await scene.commit(dead, b"before", 1)
        await scene.stop_before_the_end(dead, b"open", 2)
        assert await scene.offsets() == GroupOffsets({}, {scene.tp})
        assert scene.id_of("dead") in await scene.group.transactions(OPEN)
        await scene.group.end_transaction(scene.id_of("dead"))
        assert await scene.offset() == 1
        assert scene.id_of("dead") not in await scene.group.transactions(OPEN)
        # It was only paused.
        with pytest.raises(FencedError):
            await dead._end(commit=True)
        with pytest.raises(FencedError):
            await scene.commit(dead, b"late", 9)
        await scene.commit(await scene.new_producer("next"), b"after", 2)
        assert await scene.offset() == 2

    run(scenario)
    assert seen() == [b"before", b"after"]


def test_a_second_producer_of_the_same_id_ends_what_the_first_had_open(
    run: Callable[[Scenario], None], seen: Any
) -> None:
    async def scenario(scene: Scene) -> None:
        first = await scene.new_producer()
        await scene.stop_before_the_end(first, b"open", 2)
        second = await scene.new_producer()
        with pytest.raises(FencedError):
            await first._end(commit=True)
        await scene.commit(second, b"after", 1)
        assert await scene.offset() == 1

    run(scenario)
    assert seen() == [b"after"]


def test_an_open_transaction_hides_later_ones_until_it_is_ended(run: Callable[[Scenario], None], seen: Any) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.stop_before_the_end(await scene.new_producer("dead"), b"open", 2)
        producer = await scene.new_producer("next")
        await producer.commit([scene.event(b"after")], {scene.second: GroupOffset(1)}, scene.settings.group)
        assert await asyncio.to_thread(seen) == []
        await scene.group.end_transaction(scene.id_of("dead"))

    run(scenario)
    assert seen() == [b"after"]


# Members


def test_a_member_commits_in_its_name_and_others_do_not(run: Callable[[Scenario], None], seen: Any) -> None:
    async def scenario(scene: Scene) -> None:
        producer = await scene.new_producer()
        async with member(scene) as (_, membership):
            assert await scene.group.is_member(membership)
            refused = [
                membership._replace(generation=membership.generation - 1),
                membership._replace(generation=membership.generation + 1),
                membership._replace(member_id="unknown"),
                membership._replace(instance_id="unknown"),
            ]
            for other in refused:
                with pytest.raises(ExpelledError):
                    await scene.commit(producer, b"refused", 9, other)
            assert not await scene.group.is_member(refused[0])
            assert not await scene.group.is_member(refused[2])
            await scene.commit(producer, b"accepted", 1, membership)
            assert await scene.offset() == 1

    run(scenario)
    assert seen() == [b"accepted"]


def test_a_member_of_the_generation_before_is_refused(run: Callable[[Scenario], None], seen: Any) -> None:
    async def scenario(scene: Scene) -> None:
        producer = await scene.new_producer()
        async with member(scene) as (first, before), member(scene):
            now = await later_membership_of(first, before)
            assert not await scene.group.is_member(before)
            with pytest.raises(ExpelledError):
                await scene.commit(producer, b"stale", 9, before)
            await scene.commit(producer, b"current", 1, now)

    run(scenario)
    assert seen() == [b"current"]


def test_a_static_member_whose_name_another_took_is_refused(run: Callable[[Scenario], None], seen: Any) -> None:
    async def scenario(scene: Scene) -> None:
        producer = await scene.new_producer()
        async with member(scene, "static") as (_, before), member(scene, "static") as (_, now):
            assert before.member_id != now.member_id
            with pytest.raises(ExpelledError):
                await scene.commit(producer, b"fenced", 9, before)
            await scene.commit(producer, b"current", 1, now)

    run(scenario)
    assert seen() == [b"current"]


def test_outside_of_transactions_offsets_are_fenced_by_the_member_too(run: Callable[[Scenario], None]) -> None:
    async def scenario(scene: Scene) -> None:
        async with member(scene) as (_, membership):
            with pytest.raises(ExpelledError):
                await scene.group.commit({scene.tp: GroupOffset(9)}, membership._replace(generation=99))
            await scene.group.commit({scene.tp: GroupOffset(3, "noted")}, membership)
            assert (await scene.offsets()).offsets == {scene.tp: GroupOffset(3, "noted")}

    run(scenario)


# Topics


def test_a_topic_that_is_gone_is_named_and_the_other_partitions_go_on(
    run: Callable[[Scenario], None], seen: Any
) -> None:
    async def scenario(scene: Scene) -> None:
        producer = await scene.new_producer()
        offsets = {scene.tp: GroupOffset(1), scene.second: GroupOffset(1)}
        await scene.delete_topic(scene.second.topic)
        with pytest.raises(GoneError) as caught:
            await producer.commit([scene.event(b"aborted")], offsets, scene.settings.group)
        assert caught.value.tps == {scene.second}
        await scene.commit(producer, b"there", 1)
        assert await scene.offset() == 1

    run(scenario)
    assert seen() == [b"there"]


def test_a_topic_that_is_created_again_has_another_id(run: Callable[[Scenario], None]) -> None:
    async def scenario(scene: Scene) -> None:
        name = scene.second.topic
        before = (await scene.log.bounds([scene.second]))[scene.second]
        await scene.delete_topic(name)
        await asyncio.to_thread(create_topics, scene.settings.kafka, {name: 1})
        after = (await scene.log.bounds([scene.second]))[scene.second]
        assert (before.start, before.end) == (after.start, after.end) == (0, 0)
        assert before.topic_id.partition("/")[0] == after.topic_id.partition("/")[0]
        assert before.topic_id != after.topic_id

    run(scenario)


# Owners of version 0.1


def test_states_and_an_open_transaction_of_version_0_1_are_taken_over(
    run: Callable[[Scenario], None], seen: Any, workplace: Workplace
) -> None:
    async def scenario(scene: Scene) -> None:
        store = StateStore(scene.settings, CONFIG, FINGERPRINT)
        owner = await scene.new_producer(f"{scene.tp.topic}-{scene.tp.partition}")
        await scene.commit(owner, b"0", 1)
        await scene.stop_before_the_end(owner, b"open", 2)
        redis: Any = store._redis
        prefix = f"{{{scene.settings.group}:{scene.tp.topic}:0}}:{FINGERPRINT}"
        old = {"producer_id": 5, "producer_epoch": 0, "position": 0, "lineage": "5.0.1"}
        await redis.hset(f"{prefix}:meta", mapping=old)
        await redis.set(f"{prefix}:5.0.1:a", new_entry(2).to_bytes(FINGERPRINT))
        # One record, so that the log reaches as far as the offset.
        inputs = await scene.new_producer("inputs")
        record = ProducerRecord(scene.tp.topic, 0, b"a", b"{}", [])
        await inputs.commit([record], {scene.second: GroupOffset(0)}, "another group")

        metrics, _ = new_observers()
        takeover = TakeOver(scene.settings, scene.brokers, store, metrics, CrashPoints(None))
        publisher = ExactlyOncePublisher(scene.settings, scene.brokers, Membership(-1, "", None), 0, CrashPoints(None))
        await publisher.start()
        (owned,) = [found async for found in takeover.take_over([scene.tp], publisher)]
        partition = owned[scene.tp]
        assert (partition.taken, partition.committed, partition.fence.lineage) == (0, 1, "5.0.1")
        verdict, (entry,) = await store.read(scene.tp, partition.fence, ["a"])
        assert verdict is Verdict.OK
        assert entry is not None
        assert entry.num_records == 2
        with pytest.raises(FencedError):
            await owner._end(commit=True)
        output = OutputRecord(scene.settings.events_topic, b"a", b"1", [])
        await publisher.publish({scene.tp: [output]}, {scene.tp: GroupOffset(2, partition.topic.topic_id)})
        assert await scene.offset() == 2
        await store.close()

    run(scenario)
    assert seen() == [b"0", b"1"]


def test_an_owner_that_was_paused_finds_its_claim_replaced_and_its_transaction_ended(
    run: Callable[[Scenario], None], seen: Any
) -> None:
    async def scenario(scene: Scene) -> None:
        store = StateStore(scene.settings, CONFIG, FINGERPRINT)
        paused = await scene.new_producer("1-paused-0")
        topic = TopicInfo((await scene.log.topic_ids([scene.tp.topic]))[scene.tp.topic], 4)
        await store.claim(Claimant("paused", paused.transactional_id), {scene.tp: topic})
        before = Fence("paused", "paused", None)
        assert await store.begin(scene.tp, "paused", before, topic) is Verdict.OK
        await scene.stop_before_the_end(paused, b"open", 1)

        metrics, _ = new_observers()
        takeover = TakeOver(scene.settings, scene.brokers, store, metrics, CrashPoints(None))
        publisher = ExactlyOncePublisher(scene.settings, scene.brokers, Membership(-1, "", None), 0, CrashPoints(None))
        await publisher.start()
        async for _ in takeover.take_over([scene.tp], publisher):
            pass
        with pytest.raises(FencedError):
            await paused._end(commit=True)
        assert await store.flush(scene.tp, before, {"a": new_entry()}, 1) is Verdict.CHANGED
        assert await scene.offset() is None
        await store.close()

    run(scenario)
    assert seen() == []
