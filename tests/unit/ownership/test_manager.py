"""What becomes of owned partitions when Redis or Kafka refuses; the servers are fakes here, real in tests/system."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.unit.ownership.test_partition import entry, new_partition
from worker.monitoring.health import Health
from worker.monitoring.metrics import Metrics
from worker.ownership import manager as keeper_module
from worker.ownership.manager import Keeper, RedisAwayError
from worker.ownership.partition import Partition
from worker.process import CrashPoints
from worker.settings import load_settings
from worker.state.store import Standing

BOUND_S = 60


class FakeStore:
    """Answers flushes from a list: a standing, or an error to raise."""

    def __init__(self, *answers: Standing | Exception) -> None:
        self.answers = list(answers)

    async def flush(self, partition: Partition) -> Standing:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if answer is Standing.OK:
            partition.dirty.clear()
            partition.position = partition.applied
        return answer


def new_keeper(store: Any) -> Keeper:
    settings, metrics = load_settings(), Metrics(["tweets"])
    unused: Any = None
    return Keeper(settings, store, unused, metrics, Health(settings, metrics), CrashPoints(None), unused)


def changed_partition(num_streams: int = 1) -> Partition:
    partition = new_partition()
    partition.apply({str(number): entry(1) for number in range(num_streams)}, num_streams)
    return partition


def run(scenario: Any) -> Any:
    return asyncio.run(asyncio.wait_for(scenario, BOUND_S))


def test_a_flush_that_redis_does_not_answer_leaves_the_states_to_the_next() -> None:
    keeper, partition = new_keeper(FakeStore(RedisConnectionError("away"), Standing.OK)), changed_partition()
    run(keeper.flush(partition))
    assert partition.dirty
    run(keeper.flush(partition))
    assert not partition.dirty


def test_few_changed_states_do_not_make_the_worker_wait_for_redis() -> None:
    keeper = new_keeper(FakeStore(RedisConnectionError("away")))
    run(keeper.flush_down(changed_partition()))


def test_many_changed_states_make_it_wait_until_redis_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "MAX_DIRTY_STATES", 3)
    store = FakeStore(RedisConnectionError("away"), RedisConnectionError("away"), Standing.OK)
    partition = changed_partition(num_streams=4)
    run(new_keeper(store).flush_down(partition))
    assert store.answers == [Standing.OK]
    assert not partition.dirty


def test_a_partition_fenced_in_redis_is_dropped_and_never_flushed_again() -> None:
    store = FakeStore(Standing.FENCED, Standing.OK)
    keeper, partition = new_keeper(store), changed_partition()

    async def scenario() -> None:
        await keeper.flush(partition)
        await keeper.flush(partition)

    run(scenario())
    assert not partition.owned
    assert store.answers == [Standing.OK]
    assert partition.dirty


def test_a_redis_that_lost_the_states_marks_the_partition_and_stops_its_flushes() -> None:
    store = FakeStore(Standing.LOST, Standing.OK)
    keeper, partition = new_keeper(store), changed_partition()
    run(keeper.flush(partition))
    run(keeper.flush(partition))
    assert partition.lost
    assert store.answers == [Standing.OK]


def test_redis_is_asked_until_it_answers() -> None:
    keeper = new_keeper(FakeStore(Standing.OK))
    answers: list[int | Exception] = [RedisConnectionError("away"), OSError("reset"), 7]

    async def ask() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert run(keeper.ask_redis(ask)) == 7


def test_at_a_revocation_nobody_waits_for_a_redis_that_is_away() -> None:
    keeper = new_keeper(FakeStore(RedisConnectionError("away")))

    async def away() -> int:
        raise RedisConnectionError("away")

    async def scenario() -> None:
        asking = asyncio.create_task(keeper.ask_redis(away))
        await asyncio.sleep(0)
        await keeper.on_revoked()
        await asking

    with pytest.raises(RedisAwayError):
        run(scenario())
