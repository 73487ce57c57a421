"""Paths find what is there, whatever the payload, and say what is in the way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.payloads.paths import EACH, explain_missing, find_all, join_path, split_path

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)
steps = st.text(min_size=1, max_size=5) | st.sampled_from(["0", "1", EACH])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("text", ("text",)),
        ("a.b.0", ("a", "b", "0")),
        (r"reviews\.text", ("reviews.text",)),
        (r"a\.b.c\\d", ("a.b", r"c\d")),
        ("a b.ü", ("a b", "ü")),
    ],
)
def test_a_path_is_split_at_its_dots(path: str, expected: tuple[str, ...]) -> None:
    assert split_path(path) == expected


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b", "a\\"])
def test_a_path_with_an_empty_step_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="is not a path"):
        split_path(path)


@given(st.lists(steps, min_size=1, max_size=4))
def test_a_joined_path_splits_into_its_steps(path: list[str]) -> None:
    assert split_path(join_path(tuple(path))) == tuple(path)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a.b.1", ["second"]),
        ("a.b.2", []),
        ("a.missing.deeper", []),
        ("a.b.*", ["first", "second"]),
        ("c.*.d", [1, 2]),
        ("c.*.*", []),
        (r"e\.f", [3]),
        ("*", [4]),
        ("g", []),
    ],
)
def test_a_path_finds_what_is_there(path: str, found: list[Any]) -> None:
    payload = {"a": {"b": ["first", "second"]}, "c": [{"d": 1}, {}, {"d": 2}], "e.f": 3, "*": 4, "g": None}
    assert list(find_all(payload, split_path(path))) == found


@given(values, st.lists(steps, min_size=1, max_size=4))
def test_no_payload_and_no_path_raise_anything(payload: Any, path: list[str]) -> None:
    assert None not in list(find_all(payload, tuple(path)))
    assert isinstance(explain_missing(payload, tuple(path)), str | None)


@given(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=4), st.integers() | st.text())
def test_what_is_put_at_a_path_is_found_there(path: list[str], value: Any) -> None:
    payload = value
    for step in reversed(path):
        payload = {step: payload}
    assert list(find_all(payload, split_path(join_path(tuple(path))))) == [value]
