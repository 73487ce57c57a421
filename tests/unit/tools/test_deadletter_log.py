"""The progress of a redrive survives its encoding in the offset of the consumer group."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories.fake_brokers import FakeBrokers
from worker.errors import Reason, SentimentError
from worker.kafka.group_offsets import GroupOffset
from worker.records.types import TopicPartition
from worker.settings import load_settings
from worker.tools.deadletter_log import DeadLetterLog, is_redriven, read_progress, with_runs, write_progress

progresses = st.fixed_dictionaries(dict.fromkeys(Reason, st.integers(0, 2**62)))


@given(progresses)
def test_the_progress_of_each_reason_is_read_back(progress: dict[str, int]) -> None:
    committed = write_progress(progress)
    assert read_progress(committed) == progress
    assert committed.offset == min(progress.values())
    assert len(committed.metadata.encode()) < 1024, "a broker takes 4096 bytes"


def test_a_group_without_an_offset_starts_at_the_beginning() -> None:
    assert read_progress(None) == dict.fromkeys(Reason, 0)


@pytest.mark.parametrize("metadata", ["", "by hand", "[]", '{"no_text": "x"}', '{"unheard_of": 3}'])
def test_an_offset_set_by_hand_counts_for_every_reason(metadata: str) -> None:
    assert read_progress(GroupOffset(7, metadata)) == dict.fromkeys(Reason, 7)


def test_a_reason_that_the_metadata_lacks_starts_at_the_offset() -> None:
    progress = read_progress(GroupOffset(3, '{"no_text": 9}'))
    assert (progress[Reason.NO_TEXT], progress[Reason.POISON]) == (9, 3)


@given(progresses, st.lists(st.booleans(), max_size=60))
def test_what_a_filter_chose_is_read_back_and_nothing_else_counts_as_redriven(
    progress: dict[str, int], settled: list[bool]
) -> None:
    moved = with_runs(progress, enumerate(settled))
    back = read_progress(write_progress(moved))
    for offset, is_settled in enumerate(settled):
        assert is_redriven(back, Reason.NO_TEXT, offset) == (is_settled or offset < progress[Reason.NO_TEXT])


def test_more_gaps_than_an_offset_can_note_are_an_error_that_says_what_to_do() -> None:
    progress = with_runs(dict.fromkeys(Reason, 0), ((10_000 + n, n % 2 == 0) for n in range(2000)))
    with pytest.raises(SentimentError, match="too many dead letters between"):
        write_progress(progress)


def test_the_progress_beside_a_redrive_that_is_under_way_is_what_that_has_committed() -> None:
    tp = TopicPartition("sentiment.deadletters", 0)
    brokers: Any = FakeBrokers()
    brokers.offsets = {tp: write_progress(dict.fromkeys(Reason, 9))}

    async def ask() -> Any:
        return await DeadLetterLog(load_settings(), brokers).progress([tp])

    assert asyncio.run(ask()) == {tp: dict.fromkeys(Reason, 9)}
    (request,) = brokers.requests("OffsetFetch")
    assert not request.require_stable, "an open transaction hides no progress"
