"""Where an owned partition begins: every case of P, C and the log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import FIRST_EPOCH
from worker.ownership.plan import LogBounds, Rebuild, plan_rebuild, plan_takeover
from worker.state.store import Claim

WHOLE_LOG = LogBounds(start=0, lookback=0)
CUT_LOG = LogBounds(start=10, lookback=10)

# P, C, the log -> start, committed, rebuild, warnings
CASES = {
    "a new group reads the whole log": (None, None, WHOLE_LOG, 0, 0, Rebuild(0, False), []),
    "a new group on a log that was cut begins at its start": (
        *(None, None, CUT_LOG),
        *(10, 10, Rebuild(10, True), []),
    ),
    "states without an offset of the group are gone on with": (7, None, WHOLE_LOG, 7, 7, None, ["offset_gone"]),
    "states that the log has a gap after are not": (
        *(7, None, CUT_LOG),
        *(10, 10, Rebuild(10, True), ["offset_gone"]),
    ),
    "states at the offset are gone on with": (7, 7, WHOLE_LOG, 7, 7, None, []),
    "states below the offset catch up without publishing": (3, 7, WHOLE_LOG, 3, 7, None, []),
    "states at the log's start are gone on with": (10, 12, CUT_LOG, 10, 12, None, []),
    "no states are rebuilt up to the offset": (None, 7, WHOLE_LOG, 0, 7, Rebuild(0, False), []),
    "no states are rebuilt from what the log holds": (None, 12, CUT_LOG, 10, 12, Rebuild(10, True), []),
    "states beyond the offset are rebuilt: the group wants records again": (
        *(9, 7, WHOLE_LOG),
        *(0, 7, Rebuild(0, False), []),
    ),
    "states below the log's start are rebuilt: it has a gap": (3, 12, CUT_LOG, 10, 12, Rebuild(10, True), []),
    "an offset below the log's start moves to it": (None, 7, CUT_LOG, 10, 10, Rebuild(10, True), ["records_gone"]),
    "states at an offset below the log's start are rebuilt": (
        *(7, 7, CUT_LOG),
        *(10, 10, Rebuild(10, True), ["records_gone"]),
    ),
    "states at the log's start outlive an offset below it": (10, 7, CUT_LOG, 10, 10, None, ["records_gone"]),
}


@pytest.mark.parametrize(
    ("position", "offset", "log", "start", "committed", "rebuild", "actions"), CASES.values(), ids=CASES.keys()
)
def test_a_partition_begins_where_redis_kafka_and_the_log_allow(
    position: int | None,
    offset: int | None,
    log: LogBounds,
    start: int,
    committed: int,
    rebuild: Rebuild | None,
    actions: list[str],
) -> None:
    plan = plan_takeover(Claim(False, FIRST_EPOCH, position, "5.0.1"), offset, log)
    assert (plan.start, plan.committed, plan.rebuild) == (start, committed, rebuild)
    assert [warning.action for warning in plan.warnings] == actions


def test_a_rebuild_reads_no_further_back_than_the_lookback() -> None:
    assert plan_rebuild(100, LogBounds(start=0, lookback=60)) == Rebuild(60, True)


def test_a_rebuild_from_a_log_without_young_records_begins_empty_at_the_commit() -> None:
    assert plan_rebuild(100, LogBounds(start=0, lookback=None)) == Rebuild(100, True)


def test_a_rebuild_never_begins_beyond_the_commit() -> None:
    assert plan_rebuild(5, LogBounds(start=0, lookback=60)) == Rebuild(5, True)


offsets = st.none() | st.integers(0, 30)


@given(position=offsets, offset=offsets, start=st.integers(0, 30), lookback=offsets)
def test_no_record_of_the_log_is_swallowed_or_published_twice(
    position: int | None, offset: int | None, start: int, lookback: int | None
) -> None:
    log = LogBounds(start, lookback)
    plan = plan_takeover(Claim(False, FIRST_EPOCH, position, "5.0.1"), offset, log)
    assert log.start <= plan.start <= plan.committed
    if offset is not None and offset >= start:
        assert plan.committed == offset
    assert (plan.rebuild is None) == (position is not None and plan.start == position)
