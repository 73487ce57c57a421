"""How long a micro-batch waits: as long as commits cost, and how many records are let in."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories.records import TWEETS, text_record
from worker.kafka.transport.microbatch import InFlight, Pacing
from worker.settings import load_settings


def test_a_record_after_a_pause_waits_for_nothing() -> None:
    pacing = Pacing(max_wait_s=0.05)
    assert pacing.wait_s(100.0) == 0
    pacing.commit_began(100.0)
    pacing.commit_ended(100.01, 0.01)
    assert pacing.wait_s(101.0) == 0


def after_a_commit(took_s: float) -> Pacing:
    """At 100 s, when a commit is over."""
    pacing = Pacing(max_wait_s=1.0)
    pacing.commit_began(100.0 - took_s)
    pacing.commit_ended(100.0, took_s)
    return pacing


def test_a_batch_right_after_a_commit_waits_as_long_as_the_commit_took() -> None:
    pacing = after_a_commit(0.02)
    assert pacing.wait_s(100.0) == pytest.approx(0.02)
    assert pacing.wait_s(100.01) == pytest.approx(0.01)


def test_a_batch_beside_a_commit_waits_for_its_end_too() -> None:
    pacing = after_a_commit(0.02)
    pacing.commit_began(200.0)
    assert pacing.wait_s(200.0) == pytest.approx(0.04)


def test_brokers_collect_records_for_three_times_as_long_as_a_commit_takes() -> None:
    assert Pacing(max_wait_s=1.0).fetch_wait_s() == 0, "no commit is known yet"
    assert after_a_commit(0.02).fetch_wait_s() == pytest.approx(0.06)


def test_one_slow_commit_says_little_about_the_next() -> None:
    pacing = after_a_commit(0.01)
    pacing.commit_ended(110.0, 10.0)
    assert pacing.fetch_wait_s() < 0.06


def test_where_commits_become_slow_for_good_the_waits_follow() -> None:
    pacing = after_a_commit(0.01)
    for _ in range(50):
        pacing.commit_ended(110.0, 0.2)
    assert pacing.fetch_wait_s() == pytest.approx(0.6, rel=0.05)


@given(
    took_s=st.lists(st.floats(0.001, 30.0), max_size=20),
    max_wait_s=st.floats(0.0, 10.0),
    later_s=st.floats(0.0, 100.0),
)
def test_no_batch_waits_longer_than_the_bound(took_s: list[float], max_wait_s: float, later_s: float) -> None:
    pacing, now = Pacing(max_wait_s), 0.0
    for took in took_s:
        pacing.commit_began(now)
        now += took
        pacing.commit_ended(now, took)
        assert 0 <= pacing.wait_s(now) <= max_wait_s
        assert 0 <= pacing.fetch_wait_s() <= max_wait_s
    assert 0 <= pacing.wait_s(now + later_s) <= max_wait_s


def test_nothing_more_is_let_in_until_records_are_done() -> None:
    async def scenario() -> None:
        in_flight = InFlight(load_settings(max_batch=2, max_inflight_records=2))
        records = [text_record(offset, "s", "good") for offset in range(2)]
        in_flight.add(TWEETS, records)
        assert (in_flight.num_records, in_flight.has(TWEETS)) == (2, True)
        waiting = asyncio.create_task(in_flight.wait_for_room(lambda: False))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        in_flight.remove({TWEETS: records})
        await asyncio.wait_for(waiting, 1)
        assert (in_flight.num_records, in_flight.num_bytes, in_flight.has(TWEETS)) == (0, 0, False)

    asyncio.run(scenario())
