"""Times in payloads: the formats that a topic can name, and one that recognises most of them.

    auto      any of the formats below; a number's size tells its unit (seconds below 1e11, milliseconds below 1e14,
              microseconds below 1e17, else nanoseconds: each limit is a date in 1973 in the smaller unit); besides,
              a list of year, month, day and so on as Java's Jackson writes it (UTC), and .NET's /Date(1530998951000)/
    rfc3339   2018-07-07T22:09:11.5+02:00, with a space for the T, without a zone (UTC), or a date alone; the same with
              slashes or dots between year, month and day, without any signs (20180707220911), or with a zone's name
              behind it as Java writes it ([Europe/Berlin])
    x         Wed Oct 10 20:19:24 +0000 2018, or with a zone's name as in PDT, or without one (UTC), or as JavaScript
              writes it (Wed Oct 10 2018 20:19:24 GMT+0000)
    rfc2822   Sat, 07 Jul 2018 22:09:11 GMT, with or without the day of the week, seconds and a comment at the end
    epoch_s, epoch_ms, epoch_us, epoch_ns    a number or its text, since 1970
    %...      a pattern of strptime, such as %d/%m/%Y %H:%M; without %z it is in UTC

Epoch formats round down to milliseconds, except seconds with a fraction, which are rounded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

TimeParser = Callable[[Any], int]
"""From a payload's value to milliseconds since 1970. Raises ValueError when it cannot be read."""

SECONDS_BELOW: Final = 1e11
_LIMITS: Final = ((SECONDS_BELOW, "epoch_s"), (1e14, "epoch_ms"), (1e17, "epoch_us"), (math.inf, "epoch_ns"))
_UNITS_PER_MS: Final = {"epoch_ms": 1, "epoch_us": 1000, "epoch_ns": 1_000_000}
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")
_SPACE_BEFORE_OFFSET = re.compile(r"\s+(?=[+-][0-9]{2}:?[0-9]{2}$)")
_BARE_DATE = re.compile(r"(?:19|20)[0-9]{6}(?:[0-9]{6})?")
_DATE = re.compile(r"([0-9]{4})([-/.])([0-9]{1,2})\2([0-9]{1,2})(?![0-9])")
_SHORT_HOUR = re.compile(r"(?<=[T ])([0-9]:)")
_DOT_NET = re.compile(r"/Date\((-?[0-9]+)(?:[+-][0-9]{4})?\)/")
_NAME_BEHIND = re.compile(r"\[[\w/+-]+\]$")
_WEEKDAY, _COMMENT = re.compile(r"^[A-Za-z]{3},\s*"), re.compile(r"\s*\([^()]*\)$")
_MAX_CHARS: Final = 64
# The names of RFC 2822 (section 4.3).
_ZONES: Final = {
    **dict.fromkeys(("UT", "UTC", "GMT"), "+0000"),
    **{"EST": "-0500", "EDT": "-0400", "CST": "-0600", "CDT": "-0500"},
    **{"MST": "-0700", "MDT": "-0600", "PST": "-0800", "PDT": "-0700"},
}
_ZONE_NAME = re.compile(rf"\b(?:{'|'.join(_ZONES)})\b")
_X, _X_WITHOUT_ZONE = "%a %b %d %H:%M:%S %z %Y", "%a %b %d %H:%M:%S %Y"
_JAVASCRIPT = "%a %b %d %Y %H:%M:%S GMT%z"
_RFC2822, _RFC2822_WITHOUT_SECONDS = "%d %b %Y %H:%M:%S %z", "%d %b %Y %H:%M %z"


def parse_rfc3339(value: Any) -> int:
    """A date, or date and time; see the module's docstring. Raises ValueError."""
    text = _text(value)
    try:
        return _to_ms(datetime.fromisoformat(text))
    except ValueError:
        return _to_ms(datetime.fromisoformat(_as_written_by_python(text.upper())))


def _as_written_by_python(text: str) -> str:
    """A text in upper case, with an offset for a zone's name, no space before it, hyphens, two digits and no leap
    second.
    """
    text = _DATE.sub(lambda found: f"{found[1]}-{found[3]:0>2}-{found[4]:0>2}", _NAME_BEHIND.sub("", text), count=1)
    text = _SHORT_HOUR.sub(r"0\1", text, count=1)
    if _BARE_DATE.fullmatch(text) and len(text) > 8:
        text = f"{text[:8]}T{text[8:]}"
    if text[-1:].isalpha() and text[-1] != "Z":
        text = _with_offset(text)
    text = _SPACE_BEFORE_OFFSET.sub("", text)
    if text.endswith(":60", 0, 19):  # a leap second
        text = text[:17] + "59" + text[19:]
    return text


def parse_x(value: Any) -> int:
    """A text as X's API v1.1, C's ctime and JavaScript write it. Raises ValueError."""
    return parse_first([partial(parse_pattern, pattern) for pattern in (_X, _X_WITHOUT_ZONE, _JAVASCRIPT)], value)


def parse_rfc2822(value: Any) -> int:
    """A text as in the headers of mail and HTTP. Raises ValueError."""
    text = _WEEKDAY.sub("", _COMMENT.sub("", _text(value)))
    return parse_first([partial(parse_pattern, pattern) for pattern in (_RFC2822, _RFC2822_WITHOUT_SECONDS)], text)


def parse_epoch(unit: str, value: Any) -> int:
    """A number in `unit`, or its text. Raises ValueError."""
    number = _number(value)
    if unit == "epoch_s":
        return number * 1000 if isinstance(number, int) else round(_finite(number * 1000))
    return math.floor(number / _UNITS_PER_MS[unit]) if isinstance(number, float) else number // _UNITS_PER_MS[unit]


def parse_pattern(pattern: str, value: Any) -> int:
    """A text in a pattern of strptime. Raises ValueError."""
    text = _text(value)
    if "GMT%z" in pattern:
        text = _COMMENT.sub("", text)
    elif "%z" in pattern:
        text = _with_offset(text)
    return _to_ms(datetime.strptime(text, pattern))


def parse_any(value: Any) -> int:
    """Whatever of the formats above it is. Raises ValueError."""
    if isinstance(value, str) and value[4:5] == "-":
        return parse_rfc3339(value)
    if isinstance(value, list):
        return _parse_list(value)
    if isinstance(value, str) and (found := _DOT_NET.fullmatch(value.strip())):
        return int(found[1])
    if not isinstance(value, str) or _NUMBER.fullmatch(value.strip()):
        number = _number(value)
        if isinstance(value, str) and _BARE_DATE.fullmatch(value.strip()):
            return parse_rfc3339(value)
        return parse_epoch(next(unit for limit, unit in _LIMITS if abs(number) < limit), number)
    return parse_first((parse_rfc3339, parse_x, parse_rfc2822), value)


def _parse_list(numbers: list[Any]) -> int:
    """Year, month, day, and as many of hour, minute, second and nanosecond as there are."""
    if not 3 <= len(numbers) <= 7 or not all(type(number) is int for number in numbers):
        raise ValueError("the time is a list, but not of a year, a month, a day and so on")
    year, month, day, hour, minute, second, nanosecond = numbers + [0] * (7 - len(numbers))
    try:
        return _to_ms(datetime(year, month, day, hour, minute, second, nanosecond // 1000))
    except OverflowError:
        raise ValueError("the time is out of range") from None


def parse_first(parsers: Iterable[TimeParser], value: Any) -> int:
    """What the first parser that can reads. Raises ValueError when none can."""
    for parse in parsers:
        try:
            return parse(value)
        except ValueError:
            continue
    raise ValueError("the time is in no format that the topic has")


TIME_FORMATS: Final[dict[str, TimeParser]] = {
    "auto": parse_any,
    "rfc3339": parse_rfc3339,
    "x": parse_x,
    "rfc2822": parse_rfc2822,
    **{unit: partial(parse_epoch, unit) for unit in ("epoch_s", "epoch_ms", "epoch_us", "epoch_ns")},
}


def time_parser(formats: str | tuple[str, ...]) -> TimeParser:
    """The parser of one format, or of several that are tried in order. Raises ValueError for one that is no format."""
    names = (formats,) if isinstance(formats, str) else formats
    parsers = [TIME_FORMATS.get(name) or _pattern_parser(name) for name in names]
    return parsers[0] if len(parsers) == 1 else partial(parse_first, parsers)


def _pattern_parser(pattern: str) -> TimeParser:
    written = datetime(2001, 11, 23, 1, 2, 3, tzinfo=UTC)
    try:
        read = datetime.strptime(written.strftime(pattern), pattern) if "%" in pattern else None
    except (ValueError, re.error):  # the second for a field that the pattern has twice
        read = None
    if read is None or read.date() != written.date():
        known = ", ".join(TIME_FORMATS)
        raise ValueError(
            f"{pattern!r} is no time format: one of {known}, or a strptime pattern with year, month and day"
        )
    return partial(parse_pattern, pattern)


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _MAX_CHARS:
        raise ValueError("the time is no text, or too long for one")
    return value.strip()


def _number(value: Any) -> int | float:
    if isinstance(value, str):
        text = _text(value)
        if not _NUMBER.fullmatch(text):
            raise ValueError("the time is no number")
        value = int(text) if text.lstrip("+-").isdecimal() else float(text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("the time is no number")  # noqa: TRY004 - a value of a payload, not an argument
    return value if isinstance(value, int) else _finite(value)


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError("the time is not finite")
    return number


def _with_offset(text: str) -> str:
    """The text with an offset in place of a zone's name."""
    return _ZONE_NAME.sub(lambda name: _ZONES[name[0]], text)


def _to_ms(time: datetime) -> int:
    try:
        return ((time if time.tzinfo else time.replace(tzinfo=UTC)) - EPOCH) // MILLISECOND
    except OverflowError:
        raise ValueError("the time is out of range") from None
