"""The arithmetic behind the tables of the growth benchmark."""

from __future__ import annotations

import pytest

from benchmarks.growth.progress import Sample, progress
from benchmarks.growth.tweets import TweetBatches, stream_names
from worker.records.types import TopicPartition

SAMPLES = [Sample(0, 100, 1.0), Sample(1, 150, 2.0), Sample(2, 600, 2.9), Sample(3, 1100, 3.9), Sample(9, 1100, 5.0)]
TP = TopicPartition("tweets", 3)


def test_rate_and_cpu_time_are_those_up_to_the_first_sample_with_all_records():
    found = progress(SAMPLES)
    assert found.records_per_s == pytest.approx(1000 / 3)
    assert found.cpu_us == pytest.approx(2900)


def test_the_first_share_of_the_records_is_left_out():
    found = progress(SAMPLES, first_share=0.1)
    assert found.records_per_s == pytest.approx(500)
    assert found.cpu_us == pytest.approx(2000)


def test_every_record_of_a_micro_batch_is_of_another_stream_and_offsets_go_on():
    batches = TweetBatches({TP: stream_names(TP, range(10))}, 10)
    for begin in (0, 10):
        records = batches.next({TP: begin})[TP]
        assert {record.key.decode() for record in records} == set(stream_names(TP, range(10)))
        assert [record.offset for record in records] == list(range(begin, begin + 10))
