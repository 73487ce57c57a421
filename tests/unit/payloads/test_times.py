"""Each time format reads what it writes, and the format `auto` tells them apart."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.payloads.times import EPOCH, MILLISECOND, TIME_FORMATS, parse_any, time_parser

WHEN_MS = 1_530_994_151_000  # 2018-07-07T20:09:11Z
X, RFC2822 = "%a %b %d %H:%M:%S %z %Y", "%a, %d %b %Y %H:%M:%S %z"
times = st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
values = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2)


def ms(time: datetime) -> int:
    return (time - EPOCH) // MILLISECOND


@pytest.mark.parametrize(
    "value",
    [
        "2018-07-07T20:09:11Z",
        "2018-07-07t20:09:11z",
        "2018-07-07 20:09:11",
        "2018-07-07T22:09:11+02:00",
        "2018-07-07 13:09:11 -0700",
        "2018-07-07 20:09:11 UTC",
        "2018-07-07T20:09:11.000000000Z",
        " 2018-07-07T20:09:11,000 ",
        "2018/07/07 20:09:11",
        "2018.07.07 20:09:11",
        "20180707200911",
        "20180707T200911Z",
        "2018-07-07T22:09:11+02:00[Europe/Berlin]",
        "Sat Jul  7 20:09:11 2018",
        "7 Jul 2018 20:09:11 GMT",
        "Sat, 7 Jul 2018 20:09:11 +0000 (UTC)",
        "Sat Jul 07 20:09:11 +0000 2018",
        "Sat Jul 07 13:09:11 PDT 2018",
        "Sat, 07 Jul 2018 20:09:11 GMT",
        "Sat, 07 Jul 2018 22:09:11 +0200",
        "2018-7-7 20:09:11",
        "2018/7/7 20:09:11",
        "Sat Jul 07 2018 22:09:11 GMT+0200 (CEST)",
        "/Date(1530994151000+0200)/",
        [2018, 7, 7, 20, 9, 11],
        [2018, 7, 7, 20, 9, 11, 999_999],
        1530994151,
        1530994151.0,
        "1530994151",
        "1530994151.0",
        "1.530994151e9",
        1530994151000,
        "1530994151000",
        1530994151000999,
        "1530994151000999",
        1530994151000999999,
        "1530994151000999999",
    ],
)
def test_auto_tells_the_formats_apart(value: Any) -> None:
    assert parse_any(value) == WHEN_MS


@pytest.mark.parametrize("value", ["2018-07-07", "20180707"])
def test_a_date_alone_is_its_midnight_in_utc(value: str) -> None:
    assert parse_any(value) == WHEN_MS - (20 * 3600 + 9 * 60 + 11) * 1000


def test_a_leap_second_is_the_second_before_it() -> None:
    assert parse_any("2016-12-31T23:59:60Z") == parse_any("2016-12-31T23:59:59Z")


@pytest.mark.parametrize(
    ("formats", "value", "expected"),
    [
        ("epoch_s", 10**12, 10**15),
        ("epoch_ms", "1000", 1000),
        ("epoch_us", 1999, 1),
        ("epoch_ns", 1_999_999, 1),
        ("%d/%m/%Y %H:%M", "07/07/2018 20:09", WHEN_MS - 11_000),
        ("%m %d, %Y", "07 7, 2018", parse_any("2018-07-07")),
        ("%d.%m.%y %H:%M:%S %z", "07.07.18 22:09:11 +0200", WHEN_MS),
        (("epoch_s", "%d/%m/%Y"), "07/07/2018", parse_any("2018-07-07")),
    ],
)
def test_a_format_that_is_named_is_the_one_that_reads(formats: Any, value: Any, expected: int) -> None:
    assert time_parser(formats)(value) == expected


@pytest.mark.parametrize("formats", ["iso", "%H:%M", "%Y-%m-%d %Y", "%Y", "%Q", "%s", "", ("auto", "nonsense")])
def test_what_is_no_format_is_refused_with_those_that_are(formats: Any) -> None:
    with pytest.raises(ValueError, match="auto, rfc3339, x, rfc2822, epoch_s"):
        time_parser(formats)


@pytest.mark.parametrize(
    "value",
    [None, True, [], {}, "", "noon", "2018-13-01", "07/07/2018", float("nan"), float("inf"), "1e999", "9" * 99],
)
def test_what_is_no_time_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        time_parser("auto")(value)


@given(values, st.sampled_from([*TIME_FORMATS, X]))
def test_any_value_gives_a_time_or_a_value_error(value: Any, name: str) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(time_parser(name)(value), int)


@given(times)
def test_a_written_time_reads_back_in_every_format_that_can_write_it(time: datetime) -> None:
    second = time.replace(microsecond=0)
    for text in (time.isoformat(), time.astimezone().isoformat(" "), time.replace(tzinfo=None).isoformat()):
        assert time_parser("rfc3339")(text) == parse_any(text) == ms(time)
    for name, pattern in (("x", X), ("rfc2822", RFC2822)):
        text = second.strftime(pattern)
        assert time_parser(name)(text) == time_parser(pattern)(text) == parse_any(text) == ms(second)
    microseconds = (time - EPOCH) // timedelta(microseconds=1)
    for name, number in (("epoch_us", microseconds), ("epoch_ns", 1000 * microseconds)):
        assert time_parser(name)(number) == parse_any(number) == parse_any(str(number)) == ms(time)
    assert time_parser("epoch_ms")(ms(time)) == parse_any(ms(time)) == ms(time)
    assert time_parser("epoch_s")(ms(second) // 1000) == parse_any(ms(second) // 1000) == ms(second)


@pytest.mark.parametrize(
    "value", ["2018-7-7 9:05", "Sat, 7 Jul 2018 09:05 GMT", "7 Jul 2018 11:05 +0200", [2018, 7, 7, 9, 5]]
)
def test_what_a_time_leaves_out_is_zero(value: Any) -> None:
    assert parse_any(value) == ms(datetime(2018, 7, 7, 9, 5, tzinfo=UTC))


@pytest.mark.parametrize(
    "value",
    [
        [2018, 7],
        [2018, 13, 1],
        [True, 1, 1],
        [2018, 7, 7, 0, 0, 0, 0, 0],
        [1.0, 1, 1],
        [10**9, 1, 1],
        [2018, 1, 1, 0, 0, 0, 10**30],
    ],
)
def test_a_list_that_is_no_time_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_any(value)
