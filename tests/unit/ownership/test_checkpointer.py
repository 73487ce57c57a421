"""States in Redis are flushed, read and recovered. The servers are fakes here, and real in tests/system."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.factories.fake_store import FakeStore, Meta
from tests.factories.partitions import new_entry, new_observers, new_partition, take
from tests.factories.records import TWEETS
from worker.kafka.group_offsets import ExpelledError
from worker.ownership import checkpointer as checkpointer_module
from worker.ownership.checkpointer import Checkpointer, RedisAwayError
from worker.ownership.partition import Partition
from worker.ownership.processing_lock import ProcessingLock
from worker.settings import load_settings
from worker.state.claims import Fence, Verdict

BOUND_S = 60
AWAY = RedisConnectionError("away")
SECOND = Fence("two", "two", None)


class FakeTakeOver:
    """Recovers as TakeOver does, without its servers."""

    def __init__(self, *, error: Exception | None = None) -> None:
        self.error = error
        self.calls: list[Partition] = []

    async def recover(self, partition: Partition, **_: Any) -> bool:
        self.calls.append(partition)
        if self.error is not None:
            raise self.error
        if partition.complete:
            partition.rewrite(SECOND)
            return False
        partition.reset(SECOND, 0, partition.committed)
        return True


def new_checkpointer(store: Any, takeover: Any = None, lock: ProcessingLock | None = None) -> Checkpointer:
    lock = lock or ProcessingLock()
    return Checkpointer(load_settings(), store, takeover or FakeTakeOver(), lock, new_observers())


def changed_partition(num_streams: int = 1, **changes: Any) -> Partition:
    partition = new_partition(**changes)
    take(partition, num_streams)
    partition.apply({str(number): new_entry() for number in range(num_streams)}, num_streams)
    return partition


def run(scenario: Any) -> Any:
    return asyncio.run(asyncio.wait_for(scenario, BOUND_S))


def test_a_flush_that_redis_does_not_answer_leaves_the_states_to_the_next() -> None:
    checkpointer, partition = new_checkpointer(FakeStore(AWAY)), changed_partition()
    run(checkpointer.flush(partition))
    assert partition.num_dirty
    run(checkpointer.flush(partition))
    assert not partition.num_dirty
    assert partition.position == 1


def test_few_changed_states_do_not_make_the_worker_wait_for_redis() -> None:
    run(new_checkpointer(FakeStore(AWAY)).flush_down(changed_partition()))


def test_many_changed_states_make_it_wait_until_redis_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpointer_module, "MAX_DIRTY_STATES", 3)
    store, partition = FakeStore(AWAY, AWAY), changed_partition(num_streams=4)
    run(new_checkpointer(store).flush_down(partition))
    assert store.answers == []
    assert not partition.num_dirty


def test_many_changed_states_do_not_hold_up_a_revocation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpointer_module, "MAX_DIRTY_STATES", 3)
    lock = ProcessingLock()
    lock.revoke()
    partition = changed_partition(num_streams=4)
    run(new_checkpointer(FakeStore(AWAY, AWAY), lock=lock).flush_down(partition))
    assert partition.num_dirty == 4


def test_a_redis_that_holds_something_else_marks_the_partition_and_stops_its_flushes() -> None:
    store, partition = FakeStore(Verdict.CHANGED, Verdict.OK), changed_partition()
    checkpointer = new_checkpointer(store)
    run(checkpointer.flush(partition))
    run(checkpointer.flush(partition))
    assert partition.lost
    assert store.answers == [Verdict.OK]
    assert partition.num_dirty


def test_a_flush_after_another_workers_claim_writes_nothing() -> None:
    store, partition = FakeStore(), changed_partition()
    store.metas[TWEETS] = Meta("another", lineage="one")
    run(new_checkpointer(store).flush(partition))
    assert partition.lost
    assert store.entries == {}


def test_an_idle_partition_is_looked_at_now_and_then_and_not_at_every_flush() -> None:
    store, partition = FakeStore(), changed_partition()
    checkpointer = new_checkpointer(store)

    async def scenario() -> None:
        await checkpointer.flush(partition)
        store.answers = [Verdict.CHANGED]
        await checkpointer.flush(partition)

    run(scenario())
    assert store.answers == [Verdict.CHANGED]


def test_redis_is_asked_until_it_answers() -> None:
    store, partition = FakeStore(AWAY, OSError("reset")), new_partition()
    assert run(new_checkpointer(store).read(partition, ["a"])) == (Verdict.OK, [None])


def test_at_a_revocation_nobody_waits_for_a_redis_that_is_away() -> None:
    lock = ProcessingLock()
    checkpointer = new_checkpointer(FakeStore(*[AWAY] * 100), lock=lock)

    async def scenario() -> None:
        asking = asyncio.create_task(checkpointer.read(new_partition(), ["a"]))
        await asyncio.sleep(0)
        lock.revoke()
        await asking

    with pytest.raises(RedisAwayError):
        run(scenario())


def test_states_that_are_all_in_memory_are_written_again_without_a_seek() -> None:
    takeover, partition = FakeTakeOver(), changed_partition()
    partition.mark_lost()
    assert not run(new_checkpointer(FakeStore(), takeover).recover_lost([partition]))
    assert takeover.calls == [partition]
    assert not partition.lost


def test_states_that_are_not_all_in_memory_are_rebuilt_from_the_log() -> None:
    takeover, partition = FakeTakeOver(), new_partition(position=3, start=3, committed=3)
    partition.mark_lost()
    assert run(new_checkpointer(FakeStore(), takeover).recover_lost([partition]))
    assert takeover.calls == [partition]


def test_a_partition_whose_states_are_there_is_not_recovered() -> None:
    takeover = FakeTakeOver()
    assert not run(new_checkpointer(FakeStore(), takeover).recover_lost([new_partition()]))
    assert takeover.calls == []


def test_a_dropped_partition_is_not_recovered() -> None:
    takeover, partition = FakeTakeOver(), new_partition(position=0)
    partition.drop()
    assert not run(new_checkpointer(FakeStore(), takeover).recover(partition))
    assert takeover.calls == []


def test_a_recovery_waits_for_a_redis_that_is_away() -> None:
    class Away(FakeTakeOver):
        async def recover(self, partition: Partition, **_: Any) -> bool:
            if not self.calls:
                self.calls.append(partition)
                raise AWAY
            return await super().recover(partition)

    takeover, partition = Away(), new_partition()
    assert not run(new_checkpointer(FakeStore(), takeover).recover(partition))
    assert takeover.calls == [partition, partition]


def test_a_recovery_for_which_the_group_does_not_count_on_us_ends_in_an_error() -> None:
    with pytest.raises(ExpelledError):
        run(new_checkpointer(FakeStore(), FakeTakeOver(error=ExpelledError("22"))).recover(new_partition()))


def test_a_recovery_waits_for_the_commit_under_way() -> None:
    lock, takeover, partition = ProcessingLock(), FakeTakeOver(), new_partition()
    seen = SimpleNamespace(calls_at_commit=None)

    async def commit() -> None:
        await asyncio.sleep(0)
        seen.calls_at_commit = list(takeover.calls)

    async def scenario() -> None:
        async with lock:
            lock.start_commit(commit())
            await new_checkpointer(FakeStore(), takeover, lock).recover(partition)

    run(scenario())
    assert seen.calls_at_commit == []
    assert takeover.calls == [partition]
