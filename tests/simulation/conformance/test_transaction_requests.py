"""Transactions, their time-outs and deleted topics: the model of Kafka answers as a real cluster does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.simulation.conformance.script import Script, ScriptBody


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


def test_the_end_of_a_log_is_read_without_what_is_aborted_or_still_open(
    answers: Callable[[ScriptBody], None],
) -> None:
    async def script(one: Script) -> None:
        await one.tail(50)
        producers = {name: await one.init(name) for name in ("a", "b")}
        for name, producer in producers.items():
            await one.add(name, producer, one.out, 0)
        await one.produce("a", producers["a"], b"1", b"2")
        await one.produce("b", producers["b"], b"3")
        await one.produce("a", producers["a"], b"4", sequence=2)
        await one.end("b", producers["b"], commit=False)
        await one.state("b")
        await one.tail(50)
        await one.end("a", producers["a"], commit=True)
        await one.state("a")
        for num_offsets in (50, 4, 2, 1):
            await one.tail(num_offsets)
        await one.add("b", producers["b"], one.out, 0)
        await one.produce("b", producers["b"], b"5", sequence=1)
        await one.tail(50)
        await one.end("b", producers["b"], commit=True)
        await one.state("b")
        await one.tail(3)

    answers(script)


def test_how_a_transaction_ended_is_known_until_a_producer_of_its_id_starts_again(
    answers: Callable[[ScriptBody], None],
) -> None:
    async def script(one: Script) -> None:
        await one.state("a")
        producer = await one.init("a")
        await one.state("a")
        await one.add("a", producer, one.out, 0)
        await one.state("a")
        await one.end("a", producer, commit=True)
        await one.state("a")
        await one.add("a", producer, one.out, 0)
        await one.add_offsets("a", producer)
        await one.end("a", producer, commit=False)
        await one.state("a")
        await one.init("a")
        await one.state("a")

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
