"""Reads the fields of one topic's payloads, by that topic's settings. What is wrong beside the text is left out."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from worker.errors import Reason, RecordError
from worker.payloads.paths import EACH, Path, explain_missing, find_all, join_path, split_path
from worker.payloads.payload import FieldPaths, Payload, SkipRule, as_paths
from worker.payloads.times import time_parser
from worker.records.formats import make_decoder
from worker.records.formats.frame import body_of
from worker.records.html import blank_tags
from worker.records.registry import Registry
from worker.records.types import MAX_NAME_CHARS, Fallback, Skipped
from worker.records.unicode import printable, require_text

_SURROGATES = re.compile("[\ud800-\udfff]")
_ESCAPED_BYTES = re.compile("[\udc80-\udcff]")
_VISIBLE = re.compile("[^\\s\u200b-\u200f\u2060\ufeff]")
_REPLACEMENT: Final = "\ufffd"
_TRUTHS: Final = {
    **dict.fromkeys(("true", "t", "yes", "y", "1", "1.0"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0", "0.0"), False),
}
_MAX_SHOWN_NAMES, _MAX_SHOWN_CHARS = 10, 40


class Fields(NamedTuple):
    """The fields of a payload. time_ms: None where it has no time that can be used; so with id and stream."""

    text: str
    id: str | None
    stream: str | None
    time_ms: int | None
    final: bool
    fallbacks: tuple[Fallback, ...]


class PayloadReader:
    """Reads values of one topic."""

    def __init__(self, payload: Payload, fields: FieldPaths, registry: Registry) -> None:
        self._decode = make_decoder(payload.format, registry)
        self._parse_time = time_parser(payload.time_format)
        self._rules = [_Rule(rule) for rule in payload.skip]
        self._html = payload.html
        self._id, self._stream, self._text, self._time, self._final = (
            _split_paths(paths) for paths in (fields.id, fields.stream, fields.text, fields.time, fields.final)
        )
        self._reads_lists = any(path[0] == EACH or path[0].isdecimal() for path in self._text)

    def read(self, value: bytes, earliest_ms: int, latest_ms: int) -> Fields | Skipped:
        """The fields of `value`; a time before `earliest_ms` or after `latest_ms` is absurd.

        Raises RecordError: INVALID_UTF8, INVALID_JSON, UNKNOWN_SCHEMA, SCHEMA_MISMATCH, WRONG_TYPE, NO_TEXT.
        """
        payload = self._decode(value)
        if isinstance(payload, list) and len(payload) == 1 and not self._reads_lists:
            payload = payload[0]
        for rule in self._rules:
            if rule.applies(payload):
                return Skipped(rule.name)
        fallbacks: list[Fallback] = []
        text = self._read_text(payload)
        if not text.isascii() and _SURROGATES.search(text):
            if _ESCAPED_BYTES.search(text):  # they stand for bytes that are no text, unless the payload itself has them
                require_text(body_of(value))
            text = _without_surrogates(text)
            fallbacks.append(Fallback.SURROGATE_REPLACED)
        return Fields(
            blank_tags(text) if self._html else text,
            _read_name(payload, self._id, Fallback.ID_IGNORED, fallbacks),
            _read_name(payload, self._stream, Fallback.STREAM_IGNORED, fallbacks),
            self._read_time(payload, earliest_ms, latest_ms, fallbacks),
            _read_final(payload, self._final, fallbacks),
            tuple(fallbacks),
        )

    def _read_text(self, payload: Any) -> str:
        """The first text in which something is to be seen. Raises RecordError: WRONG_TYPE, NO_TEXT."""
        texts = _find(payload, self._text)
        found = [text for text in texts if isinstance(text, str)]
        if found:
            return next(filter(_VISIBLE.search, found), None) or next(filter(None, found), "")
        wrong = f"Expected `str`, got `{_type_name(texts[0])}` - at `{_joined(self._text)}`" if texts else None
        wrong = wrong or next(filter(None, (explain_missing(payload, path) for path in self._text)), None)
        if wrong is not None:
            raise RecordError(Reason.WRONG_TYPE, wrong)
        raise RecordError(Reason.NO_TEXT, f"there is nothing at {_joined(self._text)}{_names_in(payload)}")

    def _read_time(self, payload: Any, earliest_ms: int, latest_ms: int, fallbacks: list[Fallback]) -> int | None:
        problem = None
        for time in _find(payload, self._time):
            if isinstance(time, str) and not time.strip():
                continue
            try:
                time_ms = self._parse_time(time)
            except ValueError:
                problem = problem or Fallback.TIME_UNREADABLE
                continue
            if earliest_ms <= time_ms <= latest_ms:
                return time_ms
            problem = Fallback.TIME_ABSURD
        if problem is not None:
            fallbacks.append(problem)
        return None


class _Rule:
    """A skip rule, with its paths split."""

    def __init__(self, rule: SkipRule) -> None:
        self.name = str(rule)
        self._rule = rule
        self._paths = _split_paths(rule.path)
        self._pattern = re.compile(rule.pattern) if rule.pattern is not None else None

    def applies(self, payload: Any) -> bool:
        """Whether the rule skips the record of `payload`."""
        values = _find(payload, self._paths)
        if self._rule.missing:
            return not values
        if self._rule.values is not None:
            return any(value in self._rule.values for value in values)
        if self._pattern is not None:
            return any(isinstance(value, str) and self._pattern.match(value) for value in values)
        return bool(values)


def _split_paths(paths: str | tuple[str, ...]) -> list[Path]:
    return [split_path(path) for path in as_paths(paths)]


def _find(payload: Any, paths: list[Path]) -> Sequence[Any]:
    """The values at the paths that are not null, in the order of the paths."""
    if len(paths) == 1:
        return find_all(payload, paths[0])
    return [found for path in paths for found in find_all(payload, path)]


def _read_name(payload: Any, paths: list[Path], fallback: Fallback, fallbacks: list[Fallback]) -> str | None:
    """The first value that is a name; None where there is none, with `fallback` noted where a value was no name."""
    is_ignored = False
    for value in _find(payload, paths):
        if value == "":
            continue
        name = _as_name(value)
        if name is not None:
            return name if name.isascii() else _without_surrogates(name)
        is_ignored = True
    if is_ignored:
        fallbacks.append(fallback)
    return None


def _without_surrogates(text: str) -> str:
    """The text with a replacement character for each half of one."""
    return _SURROGATES.sub(_REPLACEMENT, text)


def _as_name(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    name = value if isinstance(value, str) else str(value)
    return name if len(name) <= MAX_NAME_CHARS else None


def _read_final(payload: Any, paths: list[Path], fallbacks: list[Fallback]) -> bool:
    """The first value that is a truth value; True where there is none."""
    values = _find(payload, paths)
    for value in values:
        truth = _TRUTHS.get(str(value).strip().lower()) if isinstance(value, str | int | float) else None
        if truth is not None:
            return truth
    if values:
        fallbacks.append(Fallback.FINAL_IGNORED)
    return True


def _type_name(value: Any) -> str:
    """JSON's name of the value's type."""
    if isinstance(value, dict):
        return "object"
    return "array" if isinstance(value, list) else type(value).__name__


def _joined(paths: list[Path]) -> str:
    return " or ".join(map(join_path, paths)) or "any path, since `text` has none"


def _names_in(payload: Any) -> str:
    """What the payload has instead, for people who set the paths."""
    if not isinstance(payload, dict) or not payload:
        return ""
    names = [printable(join_path((name,)))[:_MAX_SHOWN_CHARS] for name in list(payload)[:_MAX_SHOWN_NAMES]]
    return f"; the payload has {', '.join(names)}{', ...' if len(payload) > len(names) else ''}"
