"""The model of Kafka answers as a real cluster does: the same scripts of requests on both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests import kafka_tools
from tests.simulation.conformance import Script, ScriptBody
from tests.simulation.kafka_model.brokers import SimulatedBrokers
from tests.simulation.kafka_model.cluster import Cluster
from tests.simulation.loop import SimulatedLoop
from tests.simulation.network import Network
from tests.workplace import Workplace, new_workplace
from worker.kafka.brokers import Brokers
from worker.kafka.protocol.offsets import NO_MEMBER, Membership
from worker.stack import LocalStack

BOUND_S = 120


class SimulatedServers:
    """The model."""

    def __init__(self, loop: SimulatedLoop) -> None:
        network = Network(loop, "kafka", lambda *_: None, BOUND_S)
        self.prefix = "script"
        self.cluster = Cluster(loop)
        self.clients = SimulatedBrokers(self.cluster, network), SimulatedBrokers(self.cluster, network)

    async def create_topic(self, name: str, num_partitions: int) -> None:
        self.cluster.create_topic(name, num_partitions)

    async def delete_topic(self, name: str) -> None:
        self.cluster.delete_topic(name)


class RealServers:
    """A cluster of the local stack."""

    def __init__(self, workplace: Workplace) -> None:
        self.prefix = workplace.settings.group
        self.kafka = workplace.settings.kafka
        self.clients = Brokers(workplace.settings), Brokers(workplace.settings)
        self.topics: set[str] = set()

    async def create_topic(self, name: str, num_partitions: int) -> None:
        self.topics.add(name)
        await asyncio.to_thread(kafka_tools.create_topics, self.kafka, {name: num_partitions})

    async def delete_topic(self, name: str) -> None:
        await asyncio.to_thread(kafka_tools.delete_topics, self.kafka, [name])
        self.topics.discard(name)


@pytest.fixture
def answers(stack: LocalStack) -> Callable[[ScriptBody], None]:
    """Runs a script on both, and compares what they answered."""

    async def run(body: ScriptBody, servers: Any) -> list[tuple[str, Any]]:
        script = Script(servers)
        async with servers.clients[0], servers.clients[1]:
            await servers.create_topic(script.into, 2)
            await servers.create_topic(script.out, 2)
            await asyncio.wait_for(body(script), BOUND_S)
            for topic in list(getattr(servers, "topics", ())):
                await servers.delete_topic(topic)
        return script.answers

    def compare(body: ScriptBody) -> None:
        loop = SimulatedLoop(0)
        simulated = loop.run_until_complete(run(body, SimulatedServers(loop)))
        loop.close()
        real = asyncio.run(run(body, RealServers(new_workplace(stack))))
        assert [(name, _plain(answer)) for name, answer in simulated] == [(n, _plain(answer)) for n, answer in real]

    return compare


def _plain(answer: Any) -> Any:
    """Without the kinds of sequences and of numbers."""
    if isinstance(answer, list | tuple):
        return [_plain(one) for one in answer]
    return int(answer) if isinstance(answer, int) else answer


def test_a_transaction_and_every_request_again(answers: Callable[[ScriptBody], None]) -> None:
    async def script(one: Script) -> None:
        producer = await one.init("a")
        await one.end("a", producer, commit=True)
        await one.add("a", producer, one.out, 0, 1)
        await one.add("a", producer, one.out, 0, 1)
        await one.produce("a", producer, b"1", b"2")
        await one.produce("a", producer, b"1", b"2")
        await one.produce("a", producer, b"3", sequence=2)
        await one.produce("a", producer, b"5", sequence=4)
        await one.list_offsets(-1, isolation=0)
        await one.list_offsets(-1, isolation=1)
        await one.add_offsets("a", producer)
        await one.offsets("a", producer, 7)
        await one.offsets("a", producer, 7)
        await one.fetch_offsets(stable=True, settled=False)
        await one.fetch_offsets(stable=False)
        await one.open_transactions()
        await one.end("a", producer, commit=True)
        await one.end("a", producer, commit=True)
        await one.end("a", producer, commit=False)
        await one.open_transactions()
        await one.fetch_offsets(stable=True)
        await asyncio.sleep(1)
        await one.list_offsets(-2, -1, 1001, 1_000_000_000_000_000)
        await one.list_offsets(-1, isolation=1)
        await one.add("a", producer, one.out, 0)
        await one.produce("a", producer, b"3", sequence=3)
        await one.end("a", producer, commit=False)
        await one.end("a", producer, commit=False)

    answers(script)


def test_requests_that_do_not_belong_to_the_transaction(answers: Callable[[ScriptBody], None]) -> None:
    async def script(one: Script) -> None:
        await one.add("unknown", (123_456, 0), one.out, 0)
        await one.add_offsets("unknown", (123_456, 0))
        await one.end("unknown", (123_456, 0), commit=True)
        producer = await one.init("a")
        await one.add("a", (producer[0] + 1_000_000, 0), one.out, 0)
        await one.add("a", producer, "no-such-topic", 0)
        await one.add("a", producer, one.out, 0, 9)
        await one.produce("a", producer, b"1")
        await one.offsets("a", producer, 1)
        await one.add("a", producer, one.out, 0)
        await one.produce("a", producer, b"1", partition=1)
        await one.produce("a", producer, b"1", topic="no-such-topic")
        await one.add_offsets("a", producer)
        await one.offsets("a", producer, 1, topic="no-such-topic")
        await one.end("a", producer, commit=False)
        await one.fetch_offsets(stable=True)

    answers(script)


def test_a_second_producer_ends_the_transaction_of_the_first_and_fences_it(
    answers: Callable[[ScriptBody], None],
) -> None:
    async def script(one: Script) -> None:
        first = await one.init("a")
        await one.add("a", first, one.out, 0)
        await one.produce("a", first, b"1")
        await one.add_offsets("a", first)
        await one.offsets("a", first, 5)
        second = await one.init("a")
        await one.fetch_offsets(stable=True)
        await one.list_offsets(-1, isolation=1)
        await one.add("a", first, one.out, 0)
        await one.add_offsets("a", first)
        await one.produce("a", first, b"2", sequence=1)
        await one.offsets("a", first, 6)
        await one.end("a", first, commit=True)
        await one.add("a", second, one.out, 0)
        await one.produce("a", second, b"1")
        await one.end("a", second, commit=True)
        await asyncio.sleep(1)
        await one.list_offsets(-1)

    answers(script)


def test_a_transaction_that_takes_too_long_is_aborted_by_the_coordinator(
    answers: Callable[[ScriptBody], None],
) -> None:
    async def script(one: Script) -> None:
        producer = await one.init("a", timeout_ms=1000)
        await one.add("a", producer, one.out, 0)
        await one.produce("a", producer, b"1")
        await one.add_offsets("a", producer)
        await one.offsets("a", producer, 5)
        await asyncio.sleep(5)
        await one.fetch_offsets(stable=True)
        await one.produce("a", producer, b"2", sequence=1)
        await one.add("a", producer, one.out, 0)
        await one.offsets("a", producer, 6)
        await one.end("a", producer, commit=True)
        await one.init("a")

    answers(script)


def test_a_topic_that_is_deleted_and_created_again(answers: Callable[[ScriptBody], None]) -> None:
    async def script(one: Script) -> None:
        producer = await one.init("a")
        await one.add_offsets("a", producer)
        await one.offsets("a", producer, 5)
        await one.end("a", producer, commit=True)
        await one.fetch_offsets(stable=True)
        before = await one.topic_id(one.into)
        await one.servers.delete_topic(one.into)
        await asyncio.sleep(2)
        await one.topic_id(one.into)
        await one.list_offsets(-1, topic=one.into)
        await one.add_offsets("a", producer)
        await one.offsets("a", producer, 6)
        await one.end("a", producer, commit=False)
        await one.fetch_offsets(stable=True)
        await one.servers.create_topic(one.into, 2)
        await asyncio.sleep(2)
        one.note("another id", before != await one.topic_id(one.into))
        await one.fetch_offsets(stable=True)

    answers(script)


def test_offsets_in_the_name_of_members(answers: Callable[[ScriptBody], None]) -> None:
    async def script(one: Script) -> None:
        producer = await one.init("a")
        await one.add_offsets("a", producer)
        await one.commit(NO_MEMBER, 1)
        joined = await one.join()
        first = Membership(joined.generation_id, joined.member_id, None)
        await one.offsets("a", producer, 1, first)
        await one.commit(first, 1)
        await one.sync(first, [(first.member_id, b"mine")])
        await one.heartbeat(first)
        for membership in (
            first,
            first._replace(generation=first.generation - 1),
            first._replace(generation=first.generation + 1),
            first._replace(member_id="stranger"),
            first._replace(instance_id="stranger"),
            NO_MEMBER,
        ):
            await one.offsets("a", producer, 2, membership)
            await one.commit(membership._replace(instance_id=None), 2)
            await one.heartbeat(membership._replace(instance_id=None))
        joining = asyncio.create_task(one.join(client=1))
        await asyncio.sleep(2)
        await one.heartbeat(first)
        await one.offsets("a", producer, 3, first)
        await one.commit(first, 3)
        await one.sync(first)
        again = await one.join(first.member_id)
        second = await joining
        one.note("one generation", again.generation_id == second.generation_id)
        new = first._replace(generation=again.generation_id)
        other = Membership(second.generation_id, second.member_id, None)
        await one.offsets("a", producer, 4, first)
        await one.offsets("a", producer, 4, new)
        await one.commit(new, 4)
        await one.heartbeat(new)
        await one.sync(new, [(new.member_id, b"one"), (other.member_id, b"two")])
        await one.sync(other, client=1)
        await one.leave(other)
        await one.heartbeat(other)
        await one.heartbeat(new)
        await one.leave(new)
        await one.heartbeat(new)
        await one.offsets("a", producer, 5, new)
        await one.commit(NO_MEMBER, 5)
        await one.end("a", producer, commit=True)
        await one.fetch_offsets(stable=True)

    answers(script)


def test_a_static_member_that_restarts_keeps_its_generation(answers: Callable[[ScriptBody], None]) -> None:
    async def script(one: Script) -> None:
        producer = await one.init("a")
        await one.add_offsets("a", producer)
        joined = await one.join(instance_id="host")
        old = Membership(joined.generation_id, joined.member_id, "host")
        await one.sync(old, [(old.member_id, b"mine")])
        await one.offsets("a", producer, 1, old)
        again = await one.join(instance_id="host", client=1)
        new = Membership(again.generation_id, again.member_id, "host")
        one.note("another id", new.member_id != old.member_id)
        await one.sync(new, client=1)
        await one.offsets("a", producer, 2, old)
        await one.offsets("a", producer, 2, old._replace(instance_id=None))
        await one.offsets("a", producer, 2, new)
        await one.heartbeat(old)
        await one.heartbeat(new)
        await one.join(old.member_id, "host")
        await one.end("a", producer, commit=True)
        await one.fetch_offsets(stable=True)

    answers(script)
