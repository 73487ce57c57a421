"""Which processors share one compiled set of loops."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import pytest

from model.processor import BASELINE, BASELINE_FEATURES, baseline_fits

ZEN_3 = dict.fromkeys(BASELINE_FEATURES | {"aes", "vaes", "sse4a"}, True) | {"avx512f": False, "avxvnni": False}


def test_processors_with_avx2_and_nothing_wider_share_the_baseline():
    assert baseline_fits(ZEN_3)


@pytest.mark.parametrize("wider", ["avx512f", "avxvnni"])
def test_a_processor_with_wider_instructions_compiles_for_itself(wider: str):
    assert not baseline_fits(ZEN_3 | {wider: True})


@pytest.mark.parametrize("missing", sorted(BASELINE_FEATURES))
def test_a_processor_that_lacks_something_of_the_baseline_compiles_for_itself(missing: str):
    assert not baseline_fits(ZEN_3 | {missing: False})


def test_a_processor_of_another_kind_compiles_for_itself():
    assert not baseline_fits({"neon": True})


def test_numba_compiles_the_text_and_the_network_for_the_baseline_where_it_fits():
    ask = "from numba.core.registry import cpu_target; print(*cpu_target.target_context.codegen().magic_tuple()[1:])"
    done = subprocess.run([sys.executable, "-c", f"import model; {ask}"], capture_output=True, text=True, check=True)
    name, features = done.stdout.split()
    baseline = (BASELINE, ",".join(f"+{each}" for each in sorted(BASELINE_FEATURES)))
    assert ((name, features) == baseline) == baseline_fits(llvm.get_host_cpu_features())


def test_the_image_compiles_for_the_baseline():
    text = (Path(__file__).parents[5] / "deploy" / "Dockerfile").read_text()
    assert f"NUMBA_CPU_NAME={BASELINE} " in text
    assert f"NUMBA_CPU_FEATURES={','.join(f'+{name}' for name in sorted(BASELINE_FEATURES))} " in text
