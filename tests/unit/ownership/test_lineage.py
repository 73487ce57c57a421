"""What the name of a lineage says, and which streams have moved since their topic grew."""

from __future__ import annotations

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from worker.ownership.lineage import has_moved, lineage_name, lineage_reset
from worker.records.types import ResetReason
from worker.state.claims import TopicInfo

REASONS = [None, *ResetReason]


@pytest.mark.parametrize("reset", REASONS)
def test_the_name_of_a_lineage_tells_what_its_streams_have_to_report(reset: ResetReason | None) -> None:
    name = lineage_name("0a1b", reset)
    assert name.startswith("0a1b")
    assert lineage_reset(name) is reset


def test_names_of_version_0_1_are_read_and_those_that_it_knew_are_written_as_it_did() -> None:
    assert lineage_reset("5.0.1") is None
    assert lineage_reset("5.0.1~") is ResetReason.HISTORY_LOST
    assert lineage_name("5.0.1", ResetReason.HISTORY_LOST) == "5.0.1~"


def test_a_reason_that_no_worker_writes_counts_as_a_lost_history() -> None:
    assert lineage_reset("0a1b~<b>") is ResetReason.HISTORY_LOST


def partition_of(key: bytes, num_partitions: int) -> int:
    """As Kafka's clients choose it."""
    every = list(range(num_partitions))
    return int(DefaultPartitioner()(key, every, every))


@given(key=st.binary(min_size=1), before=st.integers(1, 12), now=st.integers(1, 12))
def test_a_stream_has_moved_if_the_topic_grew_and_clients_send_its_key_elsewhere_now(
    key: bytes, before: int, now: int
) -> None:
    here = partition_of(key, now)
    moved = now > before and here != partition_of(key, before)
    assert has_moved(key, here, before, TopicInfo("", now)) == moved


@given(key=st.binary(min_size=1))
def test_of_a_key_that_its_producer_sends_elsewhere_than_clients_would_nothing_is_known(key: bytes) -> None:
    elsewhere = (partition_of(key, 8) + 1) % 8
    assert not has_moved(key, elsewhere, 4, TopicInfo("", 8))
