"""Runs the worker with planted bugs, so that tests can show that the verifier and the faults find them.

python -m tests.system.planted BUG,BUG... worker --until-end
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

import msgspec

from tests.planted_bugs.registry import WORKER_BUGS, Planted
from worker import cli
from worker.kafka.producer import ProducerRecord
from worker.kafka.transaction import TransactionalProducer
from worker.ownership import takeover
from worker.ownership.plan import plan_takeover
from worker.state import store

script = store._script
planted = ExitStack()  # never left: the process ends with the bugs in it

Records = Iterable[ProducerRecord]


def replace(owner: Any, name: str, bug: Callable[..., Any]) -> None:
    """Replace the attribute `name` of `owner` with `bug`."""
    setattr(owner, name, bug)


def planted_in_records(change: Callable[[list[ProducerRecord]], Records]) -> Callable[[], None]:
    """A bug that changes the published records."""

    def plant() -> None:
        inner = TransactionalProducer._encode

        async def changed(self: Any, records: Records) -> Any:
            return await inner(self, change(list(records)))

        replace(TransactionalProducer, "_encode", changed)

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
    """Commit the offsets before publishing, as Faust's own acknowledgements do when an agent fails."""
    inner = TransactionalProducer.commit

    async def commit(self: Any, records: Records, offsets: Any, *whose: Any) -> None:
        reach, self._crash = self._crash, lambda _: None
        await inner(self, [], offsets, *whose)
        reach("produced")
        await inner(self, records, {}, *whose)
        self._crash = reach

    replace(TransactionalProducer, "commit", commit)


def changed_is_ok() -> None:
    """Let a flush write a missing token and lineage again and go on, instead of answering that something changed."""

    def changed(name: str) -> str:
        text = script(name)
        if name == "flush.lua":
            text = text.replace(
                "if stored[1] ~= ARGV[1]",
                "if not stored[1] then\n"
                "  redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'lineage', ARGV[2])\n"
                "  stored = {ARGV[1], ARGV[2], ARGV[3]}\n"
                "end\n"
                "if stored[1] ~= ARGV[1]",
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


def for_good(bug: Planted) -> Callable[[], None]:
    """Plants a bug that is planted for a while elsewhere."""

    @functools.wraps(bug)
    def plant() -> None:
        planted.enter_context(bug())

    return plant


BUGS: dict[str, Callable[[], None]] = {
    "twice": planted_in_records(lambda records: records + records[:1]),
    "backwards": planted_in_records(reversed),
    "no_letters": planted_in_records(lambda records: [one for one in records if not is_letter(one)]),
    "nudged": planted_in_records(lambda records: map(nudged, records)),
    "offset_first": offset_first,
    "changed_is_ok": changed_is_ok,
    "no_replay": no_replay,
    **{name: for_good(bug) for name, bug in WORKER_BUGS.items()},
}


def program_with(*bugs: str) -> tuple[str, ...]:
    """The arguments of Python for a worker with these bugs."""
    return ("-m", "tests.system.planted", ",".join(bugs), "worker")


if __name__ == "__main__":
    for bug in sys.argv.pop(1).split(","):
        BUGS[bug]()
    cli.main()
