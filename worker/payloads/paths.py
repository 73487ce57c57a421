"""Paths into a payload: names, list indices and `*` (each element of a list), joined by dots; `\\.` is a dot."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

Path = tuple[str, ...]

EACH: Final = "*"
_STEP = re.compile(r"(?:[^.\\]|\\.)+")


def split_path(path: str) -> Path:
    r"""The steps of `path`: `a\.b.0` is "a.b", then "0". Raises ValueError when one is empty or ends in a backslash."""
    steps = []
    place = 0
    while (step := _STEP.match(path, place)) is not None:
        steps.append(re.sub(r"\\(.)", r"\1", step[0]))
        place = step.end() + 1
        if step.end() == len(path):
            return tuple(steps)
        if path[step.end()] != ".":
            break
    raise ValueError(f"{path!r} is not a path: it is names joined by dots, with \\. for a dot in a name")


def join_path(path: Path) -> str:
    """The inverse of `split_path`."""
    return ".".join(re.sub(r"([.\\])", r"\\\1", step) for step in path)


def find_all(payload: Any, path: Path) -> Sequence[Any]:
    """The values at `path` that are not null: at most one, unless the path has a `*`."""
    here = payload
    for number, step in enumerate(path):
        if isinstance(here, str):
            here = _json_in(here)
        if isinstance(here, dict):
            here = here.get(step)
        elif isinstance(here, list):
            if step == EACH:
                return [found for element in here for found in find_all(element, path[number + 1 :])]
            here = here[int(step)] if step.isdecimal() and int(step) < len(here) else None
        else:
            return ()
    return () if here is None else (here,)


def _json_in(text: str) -> Any:
    """The object or list that a string holds as JSON, as in Debezium's events of MongoDB; else the string itself."""
    if not text.lstrip().startswith(("{", "[")):
        return text
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return text


def explain_missing(payload: Any, path: Path) -> str | None:
    """What stands in the way of `path`, if it is a value without members; None where there is just nothing."""
    here = payload
    for step in path:
        if isinstance(here, str) and here is not payload:
            here = _json_in(here)
        if isinstance(here, dict):
            here = here.get(step)
        elif isinstance(here, list) and (step.isdecimal() or step == EACH):
            # With a `*`, the elements are looked at one by one; the first is as good as any other for a message.
            index = 0 if step == EACH else int(step)
            here = here[index] if index < len(here) else None
        elif here is None and here is not payload:
            return None
        else:
            return f"{join_path(path)}: {step!r} is looked up in {_kind_of(here)}"
    return None


def _kind_of(value: Any) -> str:
    """What a value without members is called in JSON, and a list with its length."""
    if isinstance(value, list):
        return f"a list of {len(value)} elements" if len(value) != 1 else "a list of 1 element"
    names: dict[type, str] = {str: "a string", bool: "a truth value", int: "a number", float: "a number"}
    return names.get(type(value), "null")
