"""What an output says of its group's offset: written once for a transaction, read by nobody else's."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.factories.records import TWEETS
from worker.errors import Reason, RecordError
from worker.kafka.progress import PROGRESS, Progress, Said, progress_header, read_progress, with_header
from worker.records.headers import deadletter_headers, redriven_headers
from worker.records.types import Header, OutputRecord, TopicPartition

SAID = Said("sentiment", TWEETS, "cluster/1", Progress(2, 7))
NAMES = st.text(st.characters(categories=["Ll", "Lu", "Nd"], include_characters="._-"), min_size=1, max_size=20)


@given(NAMES, NAMES, st.integers(0, 1 << 31), st.integers(0, 1 << 31), st.integers(0, (1 << 59)))
def test_what_is_written_is_read(group: str, topic: str, partition: int, num_resets: int, offset: int) -> None:
    said = Said(group, TopicPartition(topic, partition), "cluster/1", Progress(num_resets, offset))
    assert read_progress([("ce_id", b"1"), progress_header(said)]) == said


@given(st.lists(st.tuples(st.sampled_from([PROGRESS, "other"]), st.none() | st.binary(max_size=40))))
def test_what_no_worker_wrote_says_nothing_and_hurts_nobody(headers: list[Header]) -> None:
    said = read_progress(headers)
    assert said is None or progress_header(said)[1] is not None


def test_of_two_the_later_is_greater_also_after_the_offset_went_back() -> None:
    assert Progress(0, 9) < Progress(1, 3) < Progress(1, 4)


def test_the_last_output_to_each_of_these_topics_has_the_header_and_the_others_stay_as_they_were() -> None:
    topics = ("events", "letters", "events", "shifts", "letters", "shifts")
    outputs = [OutputRecord(topic, b"key", b"value", [("h", b"x")]) for topic in topics]
    header = progress_header(SAID)
    expected = [*outputs]
    for number in (2, 4):
        expected[number] = outputs[number]._replace(headers=[("h", b"x"), header])
    assert with_header(outputs, ["events", "letters", "none"], header) == expected


def test_a_record_cannot_say_it_by_a_header_of_its_own_and_keeps_that() -> None:
    forged = progress_header(SAID)
    letter = deadletter_headers([forged], RecordError(Reason.NO_TEXT, "no text"), "tweets", 0, 1, 0)
    assert read_progress(letter) is None
    ours = progress_header(SAID._replace(progress=Progress(0, 2)))
    assert read_progress([*letter, ours]) == SAID._replace(progress=Progress(0, 2))
    assert redriven_headers([*letter, ours], 1)[0] == forged
