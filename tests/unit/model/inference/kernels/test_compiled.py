"""Which processors share one compiled set of loops."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import pytest

from model.processor import NAMED_SETS, named_set_of

V4, V3 = NAMED_SETS
OTHERS = {"aes": True, "vaes": True, "sse4a": True, "avx512f": False, "avxvnni": False}
ZEN_3 = OTHERS | dict.fromkeys(V3.features, True)
ZEN_5 = ZEN_3 | dict.fromkeys(V4.features | {"avxvnni", "avx512bf16"}, True)


def test_processors_with_avx2_and_nothing_wider_share_a_set():
    assert named_set_of(ZEN_3) is V3


def test_processors_with_avx512_and_vnni_and_without_tiles_share_a_set():
    assert named_set_of(ZEN_5) is V4


@pytest.mark.parametrize("there", [ZEN_3 | {"avx512f": True}, ZEN_3 | {"avxvnni": True}, ZEN_5 | {"amx-tile": True}])
def test_a_processor_with_wider_instructions_compiles_for_itself(there: dict[str, bool]):
    assert named_set_of(there) is None


@pytest.mark.parametrize("missing", sorted(V3.features))
def test_a_processor_that_lacks_something_of_every_set_compiles_for_itself(missing: str):
    assert named_set_of(ZEN_3 | {missing: False}) is None
    assert named_set_of(ZEN_5 | {missing: False}) is None


def test_a_processor_of_another_kind_compiles_for_itself():
    assert named_set_of({"neon": True}) is None


def _compiled_for(*command: str) -> str:
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True).stdout


def test_numba_compiles_the_text_and_the_network_for_the_set_that_fits():
    ask = "from numba.core.registry import cpu_target; print(*cpu_target.target_context.codegen().magic_tuple()[1:])"
    name, features = _compiled_for("-c", f"import model; {ask}").split()
    fitting = named_set_of(llvm.get_host_cpu_features())
    written = [(each.name, each.written) for each in NAMED_SETS]
    assert ((name, features) in written) == (fitting is not None)
    assert fitting is None or (name, features) == (fitting.name, fitting.written)


def test_the_image_compiles_for_each_set_that_the_building_processor_can_run():
    """The command is the Dockerfile's own."""
    there = llvm.get_host_cpu_features()
    text = (Path(__file__).parents[5] / "deploy" / "Dockerfile").read_text()
    command = re.search(r"sets=\$\(/opt/sentiment/bin/python -c '(.+)'\) ", text)
    assert command is not None
    lines = [f"{each.name} {each.written}" for each in NAMED_SETS if each.runs_on(there)]
    assert _compiled_for("-c", command[1]).splitlines() == lines
