"""The products in vector registers: equal to numpy's, in each type of operand, and the same bits in every company."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.kernels.compiled import compiled
from model.kernels.products import SPARE_ROWS, AffineMap, affine, filled, multiply, pack
from model.kernels.recurrence import padded_shape
from model.kernels.registers import HAS_VNNI, LANES

WHOLE = ["int16"] + ["uint8"] * HAS_VNNI
LESSER = ["", *["+avx,+avx2,+fma"] * (platform.machine() == "x86_64")]


@compiled
def multiplied(*arguments: Any) -> None:
    multiply(*arguments)


def product(operand: NDArray[Any], packed: NDArray[Any], size: int, first: int = 0) -> NDArray[Any]:
    """(rows, 4 size), of rows `first` and after; the sums begin at one."""
    sums = np.float32 if operand.dtype == np.float32 else np.int32
    start = np.ones(padded_shape(packed), sums)
    num_rows = len(operand) - first
    whole = np.zeros((first + filled(num_rows, SPARE_ROWS), packed.shape[1] * packed.shape[-1]), operand.dtype)
    whole[: len(operand), : operand.shape[1]] = operand
    out = np.zeros((filled(num_rows, SPARE_ROWS), *start.shape), sums)
    multiplied(whole, first, num_rows, packed, start, out)
    return out[:num_rows, :, :size].reshape(num_rows, 4 * size)


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(1, 2 * LANES + 1), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_floats_are_multiplied_as_numpy_does(rows: int, size: int, first: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    operand = rng.normal(size=(rows + first, size)).astype(np.float32)
    weights = rng.normal(size=(size, 4 * size)).astype(np.float32)
    found = product(operand, pack(weights, operand.dtype), size, first)
    np.testing.assert_allclose(found, operand[first:] @ weights + 1, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", WHOLE)
@settings(deadline=None)
@given(st.integers(1, 20), st.integers(1, 2 * LANES + 1), st.integers(0, 2**32 - 1))
def test_whole_numbers_are_multiplied_exactly(kind: str, rows: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    operand = rng.choice([0, 1, 127, 128, 255] if kind == "uint8" else [-127, -1, 0, 127], (rows, size)).astype(kind)
    weights = rng.choice([-127, -1, 0, 127], (size, 4 * size)).astype("int8" if kind == "uint8" else kind)
    found = product(operand, pack(weights, operand.dtype), size)
    np.testing.assert_array_equal(found, operand.astype(np.int64) @ weights.astype(np.int64) + 1)


def test_a_row_gives_the_same_bits_alone_and_among_others() -> None:
    rng = np.random.default_rng(0)
    operand, weights = rng.normal(size=(23, 40)).astype(np.float32), rng.normal(size=(40, 160)).astype(np.float32)
    packed = pack(weights, operand.dtype)
    together = product(operand, packed, 40)
    alone = [product(operand[row : row + 1], packed, 40)[0] for row in range(len(operand))]
    np.testing.assert_array_equal(together, alone)


@settings(deadline=None)
@given(st.integers(0, 9), st.integers(1, 20), st.integers(1, 4 * LANES + 9), st.integers(0, 2**32 - 1))
def test_an_affine_map_of_any_size_is_numpys(rows: int, inputs: int, outputs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, weights, bias = (rng.normal(size=s).astype(np.float32) for s in ((rows, inputs), (inputs, outputs), outputs))
    np.testing.assert_allclose(AffineMap(weights, bias)(x), x @ weights + bias, rtol=1e-5, atol=1e-5)


def test_a_map_to_few_outputs_is_numpys() -> None:
    rng = np.random.default_rng(0)
    x, weights, bias = rng.normal(size=(5, 7)), rng.normal(size=(7, 3)), rng.normal(size=3)
    np.testing.assert_allclose(affine(x, weights, bias), x @ weights + bias)


@pytest.mark.parametrize("features", LESSER)
def test_a_processor_with_less_gives_the_same_products(features: str, tmp_path: Path) -> None:
    """Compiled for another processor, in a process of its own: these same tests."""
    compiler = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": features, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", "not with_less"]
    ran = subprocess.run(command, env=os.environ | compiler, capture_output=True, text=True, timeout=500, check=False)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
