"""Fixed records give the same events, states, metrics and log actions as before; settings and commands are the same.

Everything is compared exactly, except floats, which depend on the processor's instruction set: they agree within 1e-5.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.system.golden import GOLDEN, run_worker, surface
from worker.stack import LocalStack

TOLERANCE = 1e-5
# The layout of a state, independent of the code: version, bytes of the header's integers and of the mood, the integers;
# the mood: version, bytes of its integers, the integers, float64 numbers; the network's state: head, float32 arrays.
PREFIX_BYTES = 3
MOOD_PREFIX_BYTES = 2
NETWORK_HEAD_BYTES = 22


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(GOLDEN.read_text())
    return found


def test_fixed_records_give_the_same_events_states_metrics_and_log_actions(
    stack: LocalStack, golden: dict[str, Any], tmp_path: Path
) -> None:
    found = run_worker(stack, tmp_path)
    for topic, records in golden["records"].items():
        assert len(found["records"][topic]) == len(records), topic
        for before, now in zip(records, found["records"][topic], strict=True):
            _assert_same(now, before, topic)
    assert found["states"].keys() == golden["states"].keys()
    for key, state in golden["states"].items():
        _assert_same_state(bytes.fromhex(found["states"][key]), bytes.fromhex(state), key)
    assert found["metrics"]["types"] == golden["metrics"]["types"]
    assert found["metrics"]["series"] == golden["metrics"]["series"]
    assert found["metrics"]["values"] == golden["metrics"]["values"]
    assert found["log_actions"] == golden["log_actions"]


def test_settings_and_commands_are_the_same(golden: dict[str, Any]) -> None:
    assert surface() == {name: golden[name] for name in ("settings", "commands")}


def _assert_same(now: Any, before: Any, path: str) -> None:
    """Assert equality, including the order of fields; floats may differ within the tolerance."""
    if isinstance(before, dict):
        assert list(now) == list(before), path
        for name, value in before.items():
            _assert_same(now[name], value, f"{path}.{name}")
    elif isinstance(before, list):
        assert len(now) == len(before), path
        for place, value in enumerate(before):
            _assert_same(now[place], value, f"{path}[{place}]")
    elif isinstance(before, float):
        assert now == pytest.approx(before, abs=TOLERANCE), path
    else:
        assert now == before, path


def _assert_same_state(now: bytes, before: bytes, key: str) -> None:
    assert len(now) == len(before), key
    begin = PREFIX_BYTES + before[1]
    assert now[:begin] == before[:begin], key
    at = begin + before[2]
    if at > begin:
        floats = begin + MOOD_PREFIX_BYTES + before[begin + 1]
        assert now[begin:floats] == before[begin:floats], key
        moods = [np.frombuffer(state[floats:at], "<f8") for state in (now, before)]
        assert moods[0] == pytest.approx(moods[1], abs=TOLERANCE), key
    head_end = at + NETWORK_HEAD_BYTES
    assert now[at:head_end] == before[at:head_end], key
    stream_size = struct.unpack_from("<H", before, at + 2)[0]
    arrays = [np.frombuffer(state, "<f4", 2 * stream_size, head_end) for state in (now, before)]
    assert arrays[0] == pytest.approx(arrays[1], abs=TOLERANCE), key
