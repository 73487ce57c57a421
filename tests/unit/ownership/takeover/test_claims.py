"""Claims in Redis: made again where they do not stand, left to those who serve, or refused with a name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.factories.fake_store import FakeStore
from tests.factories.records import TWEETS
from tests.unit.ownership.takeover.scenario import SECOND, Scenario, flushed_store
from worker.errors import DependencyError
from worker.kafka.group_offsets import ExpelledError, GroupOffset
from worker.state.claims import Verdict


def test_a_claim_that_is_refused_is_made_again_and_planned_again(kafka: SimpleNamespace) -> None:
    store = FakeStore(None, Verdict.CHANGED)  # the claim; its begin
    partition = Scenario(store).take_over()
    assert partition.fence == store.fence
    # Tokens 0 and 2 are of the claims, 1 and 3 of the lineages.
    assert partition.fence.owner == "3"


def test_a_begin_whose_answer_was_lost_is_followed_by_another_claim(kafka: SimpleNamespace) -> None:
    class Deaf(FakeStore):
        lost = False

        async def begin(self, *arguments: Any) -> Verdict:
            verdict = await super().begin(*arguments)
            if not self.lost:
                self.lost = True
                raise RedisConnectionError("hung up")
            return verdict

    store = Deaf()
    partition = Scenario(store).take_over()
    assert partition.fence == store.fence


def test_a_worker_on_which_the_group_does_not_count_stops_claiming(kafka: SimpleNamespace) -> None:
    kafka.group.memberships = [True, False]
    with pytest.raises(ExpelledError, match="tweets-0"):
        Scenario(FakeStore(None, Verdict.CHANGED, None, Verdict.CHANGED)).take_over()


def test_a_shadow_leaves_partitions_that_workers_of_its_model_serve(kafka: SimpleNamespace) -> None:
    kafka.group.committed[SECOND] = GroupOffset(7)
    store = flushed_store(7)
    store.served = {TWEETS}
    scene = Scenario(store, shadow=True)
    (owned,) = scene.take_all(TWEETS, SECOND)
    assert set(owned) == {SECOND}


def test_a_redis_that_answers_at_the_second_try_is_taken(kafka: SimpleNamespace) -> None:
    assert Scenario(FakeStore(RedisConnectionError("away"))).take_over().taken == 0


def test_a_redis_that_stays_away_is_named(kafka: SimpleNamespace) -> None:
    store = FakeStore(*[RedisConnectionError("away")] * 10_000)
    with pytest.raises(DependencyError, match="Redis"):
        Scenario(store, session_timeout_s=0.3, heartbeat_interval_s=0.05).take_over()


def test_a_kafka_that_is_away_is_named(kafka: SimpleNamespace) -> None:
    kafka.log.error = DependencyError("Kafka", "here", "does not answer", "Start it")
    with pytest.raises(DependencyError, match="Kafka"):
        Scenario(FakeStore()).take_over()
