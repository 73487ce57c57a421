"""A processor of every instruction set that this one can be held to serves the same numbers, in any batch."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from model import ReferenceNetwork, Request
from model.inference.kernels.instruction_sets import FEATURES, INSTRUCTION_SETS, Block
from tests.unit.model.conftest import COMMON
from tests.unit.model.inference.laws.ways import KERNELS

SETS = {"": "baseline"}
if platform.machine() == "x86_64" and {"avx2", "fma"} <= FEATURES:
    SETS |= {"+avx,+avx2": "avx2", "+avx,+avx2,+fma": "avx2"}

CHECK = f"""
import sys
from pathlib import Path
from {__name__} import assert_same_bits_in_any_batch
from model.inference.kernels.instruction_sets import INSTRUCTION_SET
assert_same_bits_in_any_batch(Path(sys.argv[1]))
print(INSTRUCTION_SET.name)
"""


def assert_same_bits_in_any_batch(checkpoint: Path) -> None:
    """Assert that batches of any size have the bits of single texts, and both the numbers of the reference."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(COMMON.split(), length)) for length in rng.integers(0, 12, 60)]
    reference = [ReferenceNetwork.load(checkpoint).read([(text, True)])[0].probabilities for text in texts]
    for kernel in KERNELS:
        engine = kernel.load(checkpoint)
        alone = [engine.score([Request(0, text)])[0] for text in texts]
        np.testing.assert_allclose([each.probabilities for each in alone], reference, atol=kernel.reference_bound)
        for size in (2, 3, 5, 8, 60):
            for begin in range(0, len(texts), size):
                batch = engine.score([Request(number, text) for number, text in enumerate(texts[begin:][:size])])
                for found, expected in zip(batch, alone[begin:], strict=False):
                    np.testing.assert_array_equal(found.state.carried, expected.state.carried)


@pytest.mark.slow
@pytest.mark.parametrize("features", SETS, ids=lambda features: features or "none")
def test_a_processor_with_fewer_features_serves_the_same_bits_in_any_batch(
    features: str, checkpoint: Path, tmp_path: Path
) -> None:
    compiler = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": features, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", CHECK, str(checkpoint)]
    ran = subprocess.run(command, env=os.environ | compiler, capture_output=True, text=True, timeout=500, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert ran.stdout.split() == [SETS[features]]


def test_this_processor_serves_the_same_bits_in_any_batch(checkpoint: Path) -> None:
    assert_same_bits_in_any_batch(checkpoint)


@pytest.mark.parametrize("found", INSTRUCTION_SETS, ids=lambda found: found.name)
def test_the_sums_of_a_block_fit_into_the_registers(found: object) -> None:
    registers = {"avx512": 32, "neon": 32, "avx2": 16, "baseline": 16}[found.name]
    block: Block = found.block
    for num_rows in range(1, block.rows + 1):
        width = block.gates * block.units_of(num_rows)
        num_weights = width if num_rows > 1 else 0  # a weight that is used once is read from memory
        assert num_rows * width + num_weights + 1 <= registers
    assert found.group % block.rows == 0
