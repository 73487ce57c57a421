"""Tests of states as bytes: round trips, the same bytes in every version, and refusal of bytes that do not match."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import OpenText, StateError, StreamState
from tests.unit.model.conftest import CONFIG

FINGERPRINT = "0123456789abcdef"
GOLDEN = Path(__file__).with_name("golden_state.bin")
OLD_GOLDEN = Path(__file__).with_name("golden_state_1.bin")  # of format 1


def _state(seed: int = 0, pending: str | None = None, num_texts: int = 3) -> StreamState:
    rng = np.random.default_rng(seed)
    carried = rng.normal(size=(2, CONFIG.stream_size)).astype(np.float32)
    if pending is None:
        return StreamState(carried, num_texts)
    words = rng.normal(size=(3, CONFIG.hidden_size)).astype(np.float32)
    return StreamState(
        carried, num_texts, OpenText(pending, 17, words, rng.normal(size=CONFIG.hidden_size), 5, f"so {pending}")
    )


def _assert_same(first: StreamState, second: StreamState) -> None:
    assert first.to_bytes(FINGERPRINT) == second.to_bytes(FINGERPRINT)
    np.testing.assert_array_equal(first.hidden, second.hidden)
    np.testing.assert_array_equal(first.cell, second.cell)
    assert first.num_texts == second.num_texts
    assert (first.open_text is None) == (second.open_text is None)
    if first.open_text and second.open_text:
        assert first.open_text.pending == second.open_text.pending
        assert first.open_text.num_tokens == second.open_text.num_tokens
        assert first.open_text.num_unknown == second.open_text.num_unknown
        assert first.open_text.beginning == second.open_text.beginning
        np.testing.assert_array_equal(first.open_text.words, second.open_text.words)
        np.testing.assert_array_equal(first.open_text.total, second.open_text.total)


@given(st.integers(0, 2**32), st.none() | st.text(max_size=511), st.integers(0, 2**64 - 1))
def test_a_state_is_the_same_after_a_round_trip_through_bytes(seed: int, pending: str | None, num_texts: int) -> None:
    state = _state(seed, pending, num_texts)
    _assert_same(StreamState.from_bytes(state.to_bytes(FINGERPRINT), CONFIG, FINGERPRINT), state)


def test_a_lone_surrogate_survives_as_pending_text() -> None:
    state = _state(pending="\ud83d")
    _assert_same(StreamState.from_bytes(state.to_bytes(FINGERPRINT), CONFIG, FINGERPRINT), state)


def test_the_bytes_of_a_state_are_the_same_in_every_version() -> None:
    """Regenerate the file only together with a new STATE_FORMAT: stores hold such bytes."""
    steps = np.arange(2 * CONFIG.stream_size, dtype=np.float32).reshape(2, -1) / 8
    words = np.arange(3 * CONFIG.hidden_size, dtype=np.float32).reshape(3, -1) / -16
    opened = OpenText("caf\u00e9", 5, words, np.arange(CONFIG.hidden_size) / 3, 2, "un caf\u00e9")
    state = StreamState(steps, 7, opened)
    assert state.to_bytes(FINGERPRINT) == GOLDEN.read_bytes()
    _assert_same(StreamState.from_bytes(GOLDEN.read_bytes(), CONFIG, FINGERPRINT), state)
    old = replace(opened, num_unknown=0, beginning="")
    _assert_same(StreamState.from_bytes(OLD_GOLDEN.read_bytes(), CONFIG, FINGERPRINT), replace(state, open_text=old))


def test_a_finished_text_leaves_a_small_state() -> None:
    assert len(_state().to_bytes(FINGERPRINT)) == 26 + 2 * 4 * CONFIG.stream_size
    assert len(_state(pending="abc").to_bytes(FINGERPRINT)) < 1024


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "format None"),
        (b"\x03" + _state().to_bytes(FINGERPRINT)[1:], "format 3, this version reads 1 and 2"),
        (b"\x02abc", "size of 4 bytes"),
        (_state().to_bytes("f" * 16), f"fingerprint {'f' * 16}, the network has {FINGERPRINT}"),
        (_state().to_bytes(FINGERPRINT)[:-1], "checksum"),
        (_state(pending="x").to_bytes(FINGERPRINT)[:-1], "checksum"),
        (_state().to_bytes(FINGERPRINT) + b"\0", "checksum"),
    ],
)
def test_bytes_that_are_not_a_state_of_the_network_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(StateError, match=reason):
        StreamState.from_bytes(data, CONFIG, FINGERPRINT)


def test_a_state_of_other_sizes_is_refused() -> None:
    for other in (replace(CONFIG, stream_size=7), replace(CONFIG, hidden_size=13)):
        with pytest.raises(StateError, match="sizes 6 and 12, the network"):
            StreamState.from_bytes(_state(pending="x").to_bytes(FINGERPRINT), other, FINGERPRINT)


@given(st.integers(min_value=0), st.integers(0, 7))
def test_no_flipped_bit_goes_unnoticed(byte: int, bit: int) -> None:
    data = bytearray(_state(pending="movie").to_bytes(FINGERPRINT))
    data[byte % len(data)] ^= 1 << bit
    with pytest.raises(StateError):
        StreamState.from_bytes(bytes(data), CONFIG, FINGERPRINT)


def _with_checksum(body: bytes) -> bytes:
    return body + struct.pack("<I", crc32(body))


def test_lengths_that_contradict_the_bytes_are_refused_even_with_a_right_checksum() -> None:
    body = _state(pending="movie").to_bytes(FINGERPRINT)[:-4]
    at = 22 + 2 * 4 * CONFIG.stream_size + 8  # of the length of the pending text
    lying = body[:at] + struct.pack("<H", 60_000) + body[at + 2 :]
    for data in (lying, body[:-1], body[:40], _state().to_bytes(FINGERPRINT)[:40]):
        with pytest.raises(StateError, match="contradict"):
            StreamState.from_bytes(_with_checksum(data), CONFIG, FINGERPRINT)


def test_a_text_that_is_not_utf8_is_refused_even_with_a_right_checksum() -> None:
    body = bytearray(_state(pending="movie").to_bytes(FINGERPRINT)[:-4])
    at = body.index(b"movie")
    body[at] = 0xFF
    with pytest.raises(StateError, match="not UTF-8"):
        StreamState.from_bytes(_with_checksum(bytes(body)), CONFIG, FINGERPRINT)


def test_a_text_with_more_unknown_tokens_than_tokens_is_refused() -> None:
    state = _state(pending="movie")
    assert state.open_text is not None
    opened = replace(state.open_text, num_unknown=state.open_text.num_tokens + 1)
    with pytest.raises(StateError, match="unknown tokens"):
        StreamState.from_bytes(replace(state, open_text=opened).to_bytes(FINGERPRINT), CONFIG, FINGERPRINT)


def test_an_open_text_without_its_lengths_is_refused_even_with_a_right_checksum() -> None:
    body = bytearray(_state().to_bytes(FINGERPRINT)[:-4])
    body[1] = 1  # a text is open
    body[4:6] = struct.pack("<H", CONFIG.hidden_size)
    with pytest.raises(StateError, match="contradict"):
        StreamState.from_bytes(_with_checksum(bytes(body)), CONFIG, FINGERPRINT)
