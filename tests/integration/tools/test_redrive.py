"""Redriven dead letters come back on a real broker: each as it was, in order, and once."""

import pytest

from tests.integration.tools.buried import (
    MIXED,
    NO_TEXTS,
    POISONS,
    TIME_MS,
    Bad,
    bury,
    listed,
    redriven,
    returned,
    values,
)
from tests.kafka_tools import Keyed, produce, read_to_end
from tests.workplace import Workplace
from worker.errors import Reason, RecordError
from worker.records.headers import REDRIVEN, deadletter_headers


def test_the_original_comes_back_to_its_partition_unchanged(workplace: Workplace) -> None:
    headers = (("trace", b"1"), ("empty", b""), ("null", None), ("trace", b"2"))
    bury(workplace, [Bad(Reason.NO_TEXT, b"\xff\x00", b"\xfe", headers)], partition=3, first_offset=7)
    assert redriven(workplace) == (1, 0)
    (record,) = read_to_end(workplace.settings.kafka, workplace.topic)
    assert (record.partition, record.key, record.value) == (3, b"\xfe", b"\xff\x00")
    assert record.timestamp == TIME_MS + 7
    assert list(record.headers) == [*headers, (REDRIVEN, b"1")]


@pytest.mark.parametrize(("key", "value"), [(None, b"x"), (b"@acme", None), (None, None)])
def test_missing_keys_and_values_stay_missing(workplace: Workplace, key: bytes | None, value: bytes | None) -> None:
    bury(workplace, [Bad(Reason.NO_STREAM, value, key)])
    assert redriven(workplace) == (1, 0)
    (record,) = read_to_end(workplace.settings.kafka, workplace.topic)
    assert (record.key, record.value) == (key, value)


def test_every_partition_is_redriven_in_order(workplace: Workplace) -> None:
    expected = {}
    for partition in range(workplace.settings.partitions):
        bad = [Bad(Reason.NO_TEXT, f"{partition} {n}".encode()) for n in range(20)]
        expected[partition] = values(bad)
        bury(workplace, bad, partition)
    assert redriven(workplace) == (20 * workplace.settings.partitions, 0)
    found: dict[int, list[bytes]] = {partition: [] for partition in expected}
    for record in read_to_end(workplace.settings.kafka, workplace.topic):
        found[record.partition].append(record.value)
    assert found == expected


def test_a_skipped_reason_is_redriven_later_and_nothing_is_redriven_twice(workplace: Workplace) -> None:
    bury(workplace, MIXED)
    assert redriven(workplace, Reason.POISON) == (3, 0)
    assert returned(workplace) == values(POISONS)
    assert [letter.pending for letter in listed(workplace)] == [one.reason != Reason.POISON for one in MIXED]
    assert redriven(workplace, Reason.POISON) == (0, 0)
    bury(workplace, [Bad(Reason.POISON, b"poison 3")], first_offset=len(MIXED))
    assert redriven(workplace) == (5, 0)
    assert redriven(workplace) == (0, 0)
    assert returned(workplace) == [*values(POISONS), *values(NO_TEXTS), b"poison 3"]
    assert not any(letter.pending for letter in listed(workplace))


def test_a_record_that_is_dead_lettered_again_is_counted_and_can_be_redriven_again(workplace: Workplace) -> None:
    bury(workplace, [NO_TEXTS[0]])
    redriven(workplace)
    (back,) = read_to_end(workplace.settings.kafka, workplace.topic)
    bury(workplace, [Bad(Reason.POISON, back.value, back.key, back.headers)], first_offset=back.offset)
    assert [(letter.reason, letter.num_redriven) for letter in listed(workplace)] == [
        (Reason.NO_TEXT, 0),
        (Reason.POISON, 1),
    ]
    assert redriven(workplace) == (1, 0)
    last = read_to_end(workplace.settings.kafka, workplace.topic)[-1]
    assert (last.value, list(last.headers)) == (NO_TEXTS[0].value, [(REDRIVEN, b"2")])


def test_more_dead_letters_than_fit_a_chunk_come_back_once_each(workplace: Workplace) -> None:
    bad = [Bad(Reason.NO_TEXT, b"%d " % n + b"x" * 2000) for n in range(1200)]
    error = RecordError(Reason.NO_TEXT, "")
    headers = [tuple(deadletter_headers((), error, workplace.topic, 0, n, TIME_MS)) for n in range(len(bad))]
    records = [Keyed(one.key, one.value, 0, None, of_one) for one, of_one in zip(bad, headers, strict=True)]
    produce(workplace.settings.kafka, workplace.settings.deadletters_topic, records)
    assert redriven(workplace) == (1200, 0)
    assert returned(workplace) == values(bad)
