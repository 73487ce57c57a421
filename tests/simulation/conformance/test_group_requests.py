"""Members of a group and their offsets: the model of Kafka answers as a real cluster does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.simulation.conformance.script import Script, ScriptBody
from worker.kafka.protocol.offsets import NO_MEMBER, Membership


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
        joining = asyncio.create_task(one.join(client=1, is_noted=False))
        await asyncio.sleep(2)
        await one.heartbeat(first)
        await one.offsets("a", producer, 3, first)
        await one.commit(first, 3)
        await one.sync(first)
        again = await one.join(first.member_id)
        second = await joining
        one.note_join(second)
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
        await one.members(old)
        await one.members(new)
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
