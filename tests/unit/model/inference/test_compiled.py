"""Which processors share one compiled set of loops."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.inference.kernels.compiled import BASELINE, BASELINE_FEATURES, baseline_fits

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


def test_the_image_compiles_for_the_baseline():
    text = (Path(__file__).parents[4] / "deploy" / "Dockerfile").read_text()
    assert f"NUMBA_CPU_NAME={BASELINE} " in text
    assert f"NUMBA_CPU_FEATURES={','.join(f'+{name}' for name in sorted(BASELINE_FEATURES))} " in text
