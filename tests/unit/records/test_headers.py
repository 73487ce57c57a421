"""The headers of events and dead letters; a record keeps its own headers through dead letter and redrive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories.records import new_event, new_shift
from worker import __version__
from worker.errors import Reason, RecordError
from worker.kafka.progress import PROGRESS
from worker.records.codec import parse_time
from worker.records.headers import (
    CUT_FROM,
    MAX_DEADLETTER_BYTES,
    OWN_NAMES,
    REDRIVEN,
    EventHeaders,
    deadletter_headers,
    fit_original,
    read_deadletter_headers,
    redriven_headers,
)
from worker.records.types import Header
from worker.settings import Settings

ERROR = RecordError(Reason.WRONG_TYPE, "Expected `str`, got `int` - at `text`")
TIME_MS = 1_795_000_000_123

foreign_headers = st.lists(
    st.tuples(st.text(max_size=8).filter(lambda name: name not in OWN_NAMES), st.none() | st.binary(max_size=8))
)


def test_an_event_carries_the_cloudevents_attributes() -> None:
    headers = dict(EventHeaders(Settings(group="g", events_topic="out")).of(new_event()))
    assert headers == {
        "ce_specversion": b"1.0",
        "ce_type": b"sentiment.event.v1",
        "ce_source": b"/g/out",
        "ce_id": b"tweets-1-42",
        "ce_time": b"2026-11-21T05:00:00.000Z",
        "content-type": b"application/json",
    }


def test_an_event_and_the_shift_that_it_showed_differ_in_their_source() -> None:
    headers = EventHeaders(Settings())
    event, shift = dict(headers.of(new_event())), dict(headers.of(new_shift()))
    assert event["ce_id"] == shift["ce_id"]
    assert event["ce_source"] != shift["ce_source"]
    assert shift["ce_type"] == b"sentiment.shift.v1"


def test_a_dead_letter_names_its_reason_and_its_source() -> None:
    ours = read_deadletter_headers(deadletter_headers([], ERROR, "tweets", 3, 42, TIME_MS))
    assert ours is not None
    assert (ours.reason, ours.error) == (Reason.WRONG_TYPE, str(ERROR))
    assert (ours.topic, ours.partition, ours.offset) == ("tweets", "3", "42")
    assert parse_time(ours.time.isoformat()) == TIME_MS
    assert (ours.worker_version, ours.redriven) == (__version__, "0")


@given(foreign_headers)
def test_a_record_keeps_its_own_headers_in_their_order_through_dead_letter_and_redrive(
    headers: list[tuple[str, bytes | None]],
) -> None:
    dead = deadletter_headers(headers, ERROR, "tweets", 0, 1, TIME_MS)
    assert dead[: len(headers)] == headers
    back = redriven_headers(dead, 1)
    assert back == [*headers, (REDRIVEN, b"1")]


@given(foreign_headers, st.integers(1, 50))
def test_the_second_dead_letter_replaces_our_headers_and_keeps_the_count_of_redrives(
    headers: list[tuple[str, bytes | None]], num_redriven: int
) -> None:
    first = deadletter_headers(headers, ERROR, "tweets", 0, 1, TIME_MS)
    back = redriven_headers(first, num_redriven)
    second = deadletter_headers(back, RecordError(Reason.NO_TEXT, "none"), "tweets", 0, 7, TIME_MS)
    names = [name for name, _ in second if name in OWN_NAMES]
    assert sorted(names) == sorted(OWN_NAMES - {CUT_FROM, PROGRESS})
    ours = read_deadletter_headers(second)
    assert ours is not None
    assert (ours.reason, ours.offset, ours.redriven) == (Reason.NO_TEXT, "7", str(num_redriven))


def test_a_dead_letter_of_a_dead_letter_has_each_of_our_headers_once() -> None:
    once = deadletter_headers([("trace", b"1")], ERROR, "tweets", 0, 1, TIME_MS)
    twice = deadletter_headers(once, ERROR, "tweets", 0, 2, TIME_MS)
    assert sum(name in OWN_NAMES for name, _ in twice) == sum(name in OWN_NAMES for name, _ in once)
    assert dict(twice)["sentiment-offset"] == b"2"


NAMES = ["trace", "sentiment-reason", REDRIVEN, "original-sentiment-time", "original-x"]
header_names = st.sampled_from(NAMES)


@given(st.lists(st.tuples(header_names, st.none() | st.binary(max_size=3)), max_size=6), st.integers(0, 3))
def test_headers_of_our_names_that_a_record_came_with_are_not_ours_and_come_back_with_it(
    headers: list[Header], num_redriven: int
) -> None:
    headers.append(("last", b"1"))  # what a redrive adds stands behind all others
    came = redriven_headers(headers, num_redriven) if num_redriven else headers
    if num_redriven:
        came = [*headers, (REDRIVEN, str(num_redriven).encode())]
    letter = deadletter_headers(came, ERROR, "tweets", 1, 42, TIME_MS)
    ours = read_deadletter_headers(letter)
    assert ours is not None
    assert (ours.reason, ours.topic, ours.offset, ours.redriven) == (ERROR.reason, "tweets", "42", str(num_redriven))
    assert redriven_headers(letter, num_redriven + 1) == [*headers, (REDRIVEN, str(num_redriven + 1).encode())]


def test_an_error_of_any_length_and_any_characters_makes_a_header() -> None:
    error = RecordError(Reason.POISON, "\ud800" + "x" * 10_000)
    headers = dict(deadletter_headers([], error, "tweets", 0, 1, TIME_MS))
    assert len(headers["sentiment-error"] or b"") < 600


@pytest.mark.parametrize("timestamp_ms", [-(2**63), -1, 2**63 - 1])
def test_a_timestamp_outside_the_calendar_makes_a_valid_header(timestamp_ms: int) -> None:
    headers = deadletter_headers([], ERROR, "tweets", 0, 1, timestamp_ms)
    assert read_deadletter_headers(headers) is not None


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("sentiment-reason", b"no_text")],
        [*deadletter_headers([], ERROR, "tweets", 0, 1, TIME_MS), ("sentiment-reason", b"\xff")],
        [*deadletter_headers([], ERROR, "tweets", 0, 1, TIME_MS), ("sentiment-reason", b"dislike")],
        [*deadletter_headers([], ERROR, "tweets", 0, 1, TIME_MS), ("sentiment-offset", b"first")],
        [*deadletter_headers([], ERROR, "tweets", 0, 1, TIME_MS), ("sentiment-time", b"noon")],
    ],
)
def test_headers_that_the_worker_did_not_write_are_recognized(headers: list[tuple[str, bytes | None]]) -> None:
    assert read_deadletter_headers(headers) is None


def test_a_record_that_fits_becomes_a_dead_letter_unchanged() -> None:
    headers = [("trace", b"1")]
    assert fit_original(b"key", b"value", headers) == (b"key", b"value", headers, None)


@pytest.mark.parametrize("where", ["key", "value", "header"])
def test_a_record_too_large_for_a_dead_letter_is_cut_to_its_beginning(where: str) -> None:
    huge = b"x" * (MAX_DEADLETTER_BYTES + 1)
    record = {"key": b"k", "value": b"v", "header": b"h"} | {where: huge}
    kept = fit_original(record["key"], record["value"], [("trace", record["header"]), (REDRIVEN, b"2")])
    assert sum(map(len, (kept.key or b"", kept.value or b""))) <= MAX_DEADLETTER_BYTES
    assert record["key"].startswith(kept.key or b"-")
    assert record["value"].startswith(kept.value or b"-")
    assert kept.headers == [(REDRIVEN, b"2")]
    ours = read_deadletter_headers(deadletter_headers(kept.headers, ERROR, "t", 0, 1, TIME_MS, kept.cut_from))
    assert ours is not None
    assert ours.cut_from == str(len(huge) + len("trace") + 2 + len(REDRIVEN) + 1)


def test_a_cut_from_header_of_the_record_itself_is_ignored() -> None:
    dead = deadletter_headers([("sentiment-cut-from", b"5")], ERROR, "tweets", 0, 1, TIME_MS)
    ours = read_deadletter_headers(dead)
    assert ours is not None
    assert ours.cut_from == "0"
