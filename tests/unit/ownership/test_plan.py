"""Where an owned partition begins: every case of P, C and the log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.kafka.group_offsets import GroupOffset
from worker.kafka.log import LogBounds
from worker.ownership.plan import Plan, Rebuild, offset_of_shadow, plan_rebuild, plan_takeover
from worker.records.types import ResetReason
from worker.state.claims import Claim, TopicInfo

OURS, EARLIER, ELSEWHERE = "cluster/1", "cluster/0", "another cluster/1"
WHOLE_LOG = LogBounds(start=0, end=50, lookback=0, topic_id=OURS)
CUT_LOG = LogBounds(start=10, end=50, lookback=10, topic_id=OURS)
SHORT_LOG = LogBounds(start=0, end=6, lookback=0, topic_id=OURS)
LOST = ResetReason.HISTORY_LOST
RECREATED, TRUNCATED = ResetReason.TOPIC_RECREATED, ResetReason.LOG_TRUNCATED

# P, C, the log -> start, committed, rebuild, warnings
CASES = {
    "a new group reads the whole log": (None, None, WHOLE_LOG, 0, 0, Rebuild(0, None), []),
    "a new group on a log that was cut begins at its start": (
        *(None, None, CUT_LOG),
        *(10, 10, Rebuild(10, LOST), []),
    ),
    "states without an offset of the group are gone on with": (7, None, WHOLE_LOG, 7, 7, None, ["offset_gone"]),
    "states that the log has a gap after are not": (
        *(7, None, CUT_LOG),
        *(10, 10, Rebuild(10, LOST), ["offset_gone"]),
    ),
    "states at the offset are gone on with": (7, 7, WHOLE_LOG, 7, 7, None, []),
    "states below the offset catch up without publishing": (3, 7, WHOLE_LOG, 3, 7, None, []),
    "states at the log's start are gone on with": (10, 12, CUT_LOG, 10, 12, None, []),
    "states at the log's end are gone on with": (6, 6, SHORT_LOG, 6, 6, None, []),
    "no states are rebuilt up to the offset": (None, 7, WHOLE_LOG, 0, 7, Rebuild(0, None), []),
    "no states are rebuilt from what the log holds": (None, 12, CUT_LOG, 10, 12, Rebuild(10, LOST), []),
    "states beyond the offset are rebuilt: the group wants records again": (
        *(9, 7, WHOLE_LOG),
        *(0, 7, Rebuild(0, None), []),
    ),
    "states below the log's start are rebuilt: it has a gap": (3, 12, CUT_LOG, 10, 12, Rebuild(10, LOST), []),
    "an offset below the log's start moves to it": (None, 7, CUT_LOG, 10, 10, Rebuild(10, LOST), ["records_gone"]),
    "states at an offset below the log's start are rebuilt": (
        *(7, 7, CUT_LOG),
        *(10, 10, Rebuild(10, LOST), ["records_gone"]),
    ),
    "states at the log's start outlive an offset below it": (10, 7, CUT_LOG, 10, 10, None, ["records_gone"]),
    "states within a truncated log are gone on with": (4, 9, SHORT_LOG, 4, 4, None, ["log_truncated"]),
    "states beyond the end of a truncated log are rebuilt": (
        *(8, 9, SHORT_LOG),
        *(0, 6, Rebuild(0, TRUNCATED), ["log_truncated"]),
    ),
    "no states of a truncated log are rebuilt up to its end": (
        *(None, 9, SHORT_LOG),
        *(0, 6, Rebuild(0, TRUNCATED), ["log_truncated"]),
    ),
    "states beyond the end are rebuilt, although the offset is not": (
        *(8, 5, SHORT_LOG),
        *(0, 5, Rebuild(0, TRUNCATED), ["log_truncated"]),
    ),
    "states beyond the end, without an offset of the group": (
        *(8, None, SHORT_LOG),
        *(0, 6, Rebuild(0, TRUNCATED), ["offset_gone", "log_truncated"]),
    ),
}


def claim(position: int | None, topic_id: str = OURS) -> Claim:
    return Claim("token", position, None if position is None else "lineage", "", TopicInfo(topic_id, 1))


def offset_of(offset: int | None, topic_id: str = OURS) -> GroupOffset | None:
    return None if offset is None else GroupOffset(offset, topic_id)


def actions(plan: Plan) -> list[str]:
    return [warning.action for warning in plan.warnings]


@pytest.mark.parametrize(
    ("position", "offset", "log", "start", "committed", "rebuild", "warnings"), CASES.values(), ids=CASES.keys()
)
def test_a_partition_begins_where_redis_kafka_and_the_log_allow(
    position: int | None,
    offset: int | None,
    log: LogBounds,
    start: int,
    committed: int,
    rebuild: Rebuild | None,
    warnings: list[str],
) -> None:
    plan = plan_takeover(claim(position), offset_of(offset), log)
    assert (plan.start, plan.committed, plan.rebuild) == (start, committed, rebuild)
    assert actions(plan) == warnings


@pytest.mark.parametrize(
    ("position", "offset", "expected"),
    [(None, None, None), (None, 7, 7), (5, 7, 7), (7, 7, 7), (9, 7, 9), (9, None, 9)],
)
def test_a_shadow_goes_on_at_its_offset_or_where_a_worker_of_its_model_has_brought_the_states(
    position: int | None, offset: int | None, expected: int | None
) -> None:
    assert offset_of_shadow(claim(position), offset_of(offset)) == offset_of(expected)


@pytest.mark.parametrize(
    ("position", "offset"), [(7, 7), (7, None), (None, 7)], ids=["both", "no offset: it went with the topic", "no P"]
)
def test_a_topic_that_was_created_again_is_read_from_its_start_without_states(
    position: int | None, offset: int | None
) -> None:
    plan = plan_takeover(claim(position, EARLIER), offset_of(offset, EARLIER), CUT_LOG)
    assert (plan.start, plan.committed, plan.rebuild) == (10, 10, Rebuild(10, RECREATED))
    assert actions(plan) == ["topic_recreated"]


def test_states_of_another_log_are_rebuilt_up_to_an_offset_that_is_of_this_one() -> None:
    plan = plan_takeover(claim(7, EARLIER), offset_of(9), WHOLE_LOG)
    assert (plan.start, plan.committed, plan.rebuild) == (0, 9, Rebuild(0, None))
    assert actions(plan) == ["states_of_another_log"]


def test_an_offset_of_an_earlier_topic_counts_as_none_where_the_states_are_of_this_one() -> None:
    plan = plan_takeover(claim(7), offset_of(9, EARLIER), WHOLE_LOG)
    assert (plan.start, plan.committed, plan.rebuild) == (7, 7, None)
    assert actions(plan) == ["offset_gone"]


def test_an_offset_that_names_another_cluster_was_translated_and_counts() -> None:
    plan = plan_takeover(claim(None), offset_of(9, ELSEWHERE), WHOLE_LOG)
    assert (plan.start, plan.committed, plan.rebuild) == (0, 9, Rebuild(0, None))
    assert actions(plan) == []


def test_states_of_another_cluster_are_rebuilt_up_to_the_translated_offset() -> None:
    plan = plan_takeover(claim(9, ELSEWHERE), offset_of(9, ELSEWHERE), WHOLE_LOG)
    assert (plan.start, plan.committed, plan.rebuild) == (0, 9, Rebuild(0, None))
    assert actions(plan) == ["states_of_another_log"]


@pytest.mark.parametrize(
    ("of_states", "now", "are_older"), [(0, 1, True), (1, 1, False), (2, 1, False), (None, 1, False), (0, None, False)]
)
def test_states_from_before_the_offset_last_went_back_may_be_of_records_that_are_gone(
    of_states: int | None, now: int | None, are_older: bool
) -> None:
    plan = plan_takeover(claim(7)._replace(num_resets=of_states), offset_of(9), WHOLE_LOG, now)
    expected = (0, 9, Rebuild(0, None)) if are_older else (7, 9, None)
    assert (plan.start, plan.committed, plan.rebuild) == expected
    assert actions(plan) == ["states_of_another_log"] * are_older


@pytest.mark.parametrize("current", ["", OURS])
def test_without_an_id_what_is_known_is_taken_for_that_of_the_current_topic(current: str) -> None:
    plan = plan_takeover(claim(3, ""), offset_of(7, ""), WHOLE_LOG._replace(topic_id=current))
    assert (plan.start, plan.committed, plan.rebuild) == (3, 7, None)
    assert actions(plan) == []


def test_a_rebuild_reads_no_further_back_than_the_lookback() -> None:
    assert plan_rebuild(100, LogBounds(start=0, end=200, lookback=60)) == Rebuild(60, LOST)


def test_a_rebuild_from_a_log_without_young_records_begins_empty_at_the_commit() -> None:
    assert plan_rebuild(100, LogBounds(start=0, end=200, lookback=None)) == Rebuild(100, LOST)


def test_a_rebuild_never_begins_beyond_the_commit() -> None:
    assert plan_rebuild(5, LogBounds(start=0, end=200, lookback=60)) == Rebuild(5, LOST)


def test_a_rebuild_keeps_a_better_reason_than_that_records_left_the_log() -> None:
    assert plan_rebuild(5, CUT_LOG, TRUNCATED).reset is TRUNCATED


offsets = st.none() | st.integers(0, 30)
topic_ids = st.sampled_from(["", OURS, EARLIER, ELSEWHERE])


def of_log(start: int, length: int, lookback: int | None) -> LogBounds:
    return LogBounds(start, start + length, lookback, OURS)


logs = st.builds(of_log, st.integers(0, 30), st.integers(0, 30), offsets)


@given(position=offsets, offset=offsets, log=logs)
def test_no_record_of_the_log_is_swallowed_or_published_twice(
    position: int | None, offset: int | None, log: LogBounds
) -> None:
    plan = plan_takeover(claim(position), offset_of(offset), log)
    assert log.start <= plan.start <= plan.committed <= log.end
    if offset is not None and log.start <= offset <= log.end:
        assert plan.committed == offset
    assert (plan.rebuild is None) == (position is not None and plan.start == position)


@given(position=offsets, offset=offsets, log=logs, of_states=topic_ids, of_offset=topic_ids)
def test_whatever_the_topics_are_a_partition_begins_within_the_log(
    position: int | None, offset: int | None, log: LogBounds, of_states: str, of_offset: str
) -> None:
    plan = plan_takeover(claim(position, of_states), offset_of(offset, of_offset), log)
    assert log.start <= plan.start <= plan.committed <= log.end
    if plan.rebuild is None:
        assert plan.start == position
        assert of_states in {"", OURS}
    if of_offset == EARLIER and position is None:
        assert plan.committed == log.start
