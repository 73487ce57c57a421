"""The worker with bugs planted in it, so that a test sees the verifier catch them.

python -m tests.system.planted BUG,BUG... worker --until-end
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from aiokafka import TopicPartition

from worker import cli
from worker.kafka.producer import TransactionalPublisher
from worker.ownership.takeover import Ownership
from worker.processing.events import Output
from worker.state import store

send = TransactionalPublisher._send
take_over = Ownership.take_over
script = store._script

Outputs = Iterable[Output]


def planted_in_send(change: Callable[[list[Output]], Outputs]) -> Callable[[], None]:
    """A bug in what is published."""

    def plant() -> None:
        inner = TransactionalPublisher._send

        async def changed(self: Any, outputs: Outputs) -> None:
            await inner(self, change(list(outputs)))

        TransactionalPublisher._send = changed  # type: ignore[method-assign]

    return plant


def is_letter(output: Output) -> bool:
    """Whether it is a dead letter."""
    return any(name == "sentiment-reason" for name, _ in output.headers)


def nudged(output: Output) -> Output:
    """A score that is off by a little more than the tolerance."""
    if is_letter(output) or output.value is None:
        return output
    event = msgspec.json.decode(output.value)
    return output._replace(value=msgspec.json.encode(event | {"score": event["score"] + 2e-5}))


def offset_first() -> None:
    """Commit the offset, then publish: what Faust's own acknowledgements do when an agent fails."""

    async def publish(self: TransactionalPublisher, outputs: Outputs, next_offset: int) -> None:
        await self._producer.begin_transaction()
        offsets = {TopicPartition(*self._tp): next_offset}
        await self._producer.send_offsets_to_transaction(offsets, self._settings.group)
        await self._producer.commit_transaction()
        self._crash_points.reach("produced")
        await self._producer.begin_transaction()
        await self._send(outputs)
        await self._producer.commit_transaction()

    TransactionalPublisher.publish = publish  # type: ignore[method-assign]


def lost_is_ok() -> None:
    """A flush that makes a missing epoch anew and goes on, instead of saying that Redis lost the states."""

    def changed(name: str) -> str:
        text = script(name)
        if name == "flush.lua":
            text = text.replace(
                "if not stored[1] then return 'lost' end",
                "if not stored[1] then\n"
                "  redis.call('HSET', KEYS[1], 'producer_id', ARGV[1], 'producer_epoch', ARGV[2], 'lineage', ARGV[3])\n"
                "  stored = {ARGV[1], ARGV[2], ARGV[4], ARGV[3]}\n"
                "end",
            )
            assert text != script(name)
        return text

    store._script = changed


def no_replay() -> None:
    """Go on at C with the states of P."""

    async def changed(self: Ownership, tps: Any) -> Any:
        owned = await take_over(self, tps)
        for partition in owned.values():
            partition.taken = partition.applied = partition.committed
        return owned

    Ownership.take_over = changed  # type: ignore[method-assign]


BUGS: dict[str, Callable[[], None]] = {
    "twice": planted_in_send(lambda outputs: outputs + outputs[:1]),
    "backwards": planted_in_send(reversed),
    "no_letters": planted_in_send(lambda outputs: [one for one in outputs if not is_letter(one)]),
    "nudged": planted_in_send(lambda outputs: map(nudged, outputs)),
    "offset_first": offset_first,
    "lost_is_ok": lost_is_ok,
    "no_replay": no_replay,
}


if __name__ == "__main__":
    for bug in sys.argv.pop(1).split(","):
        BUGS[bug]()
    cli.main()
