"""Runs the worker with planted bugs, so that tests can show that the verifier finds them.

python -m tests.system.planted BUG,BUG... worker --until-end
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from aiokafka import TopicPartition

from worker import cli
from worker.kafka.producer import ExactlyOnceProducer, ProducerRecord, TransactionalProducer
from worker.ownership import takeover
from worker.ownership.plan import plan_takeover
from worker.state import store

script = store._script

Records = Iterable[ProducerRecord]


def replace(owner: Any, name: str, bug: Callable[..., Any]) -> None:
    """Replace the attribute `name` of `owner` with `bug`."""
    setattr(owner, name, bug)


def planted_in_send(change: Callable[[list[ProducerRecord]], Records]) -> Callable[[], None]:
    """A bug that changes the published records."""

    def plant() -> None:
        inner = TransactionalProducer.send

        async def changed(self: Any, records: Records) -> None:
            await inner(self, change(list(records)))

        replace(TransactionalProducer, "send", changed)

    return plant


def is_letter(record: ProducerRecord) -> bool:
    """Whether the record is a dead letter."""
    return any(name == "sentiment-reason" for name, _ in record.headers)


def nudged(record: ProducerRecord) -> ProducerRecord:
    """The record with a score that is off by slightly more than the tolerance."""
    if is_letter(record) or record.value is None:
        return record
    event = msgspec.json.decode(record.value)
    return record._replace(value=msgspec.json.encode(event | {"score": event["score"] + 2e-5}))


def offset_first() -> None:
    """Commit the offset before publishing, as Faust's own acknowledgements do when an agent fails."""

    async def commit(self: ExactlyOnceProducer, records: Records, offsets: Any, group: str) -> None:
        await self._client.begin_transaction()
        of_client = {TopicPartition(*tp): offset for tp, offset in offsets.items()}
        await self._client.send_offsets_to_transaction(of_client, group)
        await self._client.commit_transaction()
        self._crash_points.reach("produced")
        await self._client.begin_transaction()
        await self.send(records)
        await self._client.commit_transaction()

    replace(ExactlyOnceProducer, "commit", commit)


def lost_is_ok() -> None:
    """Let a flush write a missing epoch again and go on, instead of answering that Redis lost the states."""

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

    replace(store, "_script", changed)


def no_replay() -> None:
    """Continue at the committed offset with the states of an earlier position."""

    def changed(*arguments: Any) -> Any:
        plan = plan_takeover(*arguments)
        return plan._replace(start=plan.committed)

    replace(takeover, "plan_takeover", changed)


BUGS: dict[str, Callable[[], None]] = {
    "twice": planted_in_send(lambda records: records + records[:1]),
    "backwards": planted_in_send(reversed),
    "no_letters": planted_in_send(lambda records: [one for one in records if not is_letter(one)]),
    "nudged": planted_in_send(lambda records: map(nudged, records)),
    "offset_first": offset_first,
    "lost_is_ok": lost_is_ok,
    "no_replay": no_replay,
}


if __name__ == "__main__":
    for bug in sys.argv.pop(1).split(","):
        BUGS[bug]()
    cli.main()
