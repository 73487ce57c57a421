"""Tests of the packed products: equal to numpy's for each type of operand, and the same bits beside any other rows."""

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

from model.inference.kernels.compiled import compiled
from model.inference.kernels.instruction_sets import HAS_VNNI, LANES
from model.inference.kernels.operands import bfloat16_parts, write_operand
from model.inference.kernels.products import FLOATS, AffineMap, affine, multiply, operand_shape, pack, zeros
from model.inference.kernels.recurrence import padded_shape

FLOAT_KINDS = list({np.dtype(np.float32), FLOATS})
WHOLE = ["int16"] + ["uint8"] * HAS_VNNI
FEWER_FEATURES = ["", *["+avx,+avx2,+fma"] * (platform.machine() == "x86_64")]


@compiled
def compiled_multiply(*arguments: Any) -> None:
    multiply(*arguments)


@compiled
def compiled_write(values: NDArray[np.float32], operand: NDArray[Any]) -> None:
    for row in range(len(values)):
        write_operand(values, operand, row)


def product(operand: NDArray[Any], packed: NDArray[Any], size: int, first: int = 0) -> NDArray[Any]:
    """The product (rows, 4 * size) of the rows from `first` on. The sums start at 1."""
    sums = np.int32 if operand.dtype in (np.uint8, np.int16) else np.float32
    start = np.ones(padded_shape(packed), sums)
    num_rows = len(operand) - first
    out = np.zeros((num_rows, *start.shape), sums)
    compiled_multiply(operand, first, num_rows, packed, start, out)
    return out[:, :, :size].reshape(num_rows, 4 * size)


def operand_of(values: NDArray[Any], packed: NDArray[Any], kind: np.dtype[Any]) -> NDArray[Any]:
    """The operand for `values` in this type: floats are converted, integers are copied."""
    operand = zeros((len(values), *operand_shape(packed, kind)), kind)
    if values.dtype == np.float32:
        compiled_write(values, operand)
    else:
        operand[:, : values.shape[1]] = values
    return operand


@pytest.mark.parametrize("kind", FLOAT_KINDS)
@pytest.mark.parametrize("stored", [np.float32, np.float16])
@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 2 * LANES + 1), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_products_of_floats_have_the_rounding_error_of_float32(
    kind: np.dtype[Any], stored: type[np.floating], rows: int, size: int, first: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values = np.tanh(rng.normal(size=(rows + first, size)) * 3).astype(np.float32)
    weights = rng.normal(size=(size, 4 * size)).astype(stored).astype(np.float32)
    packed = pack(weights, kind)
    found = product(operand_of(values, packed, kind), packed, size, first)
    exact = values[first:].astype(np.float64) @ weights.astype(np.float64) + 1
    rounding = np.abs(values[first:]) @ np.abs(weights) + 1  # the rounding error of float32 is proportional to this
    assert (np.abs(found - exact) <= 3e-7 * rounding).all()


@given(st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1))
def test_a_float_is_the_sum_of_its_three_parts(values: list[float]) -> None:
    floats = np.array(values, np.float32)
    floats[np.abs(floats) < 1e-30] = 0  # tiles flush the parts of smaller numbers to zero
    parts = (bfloat16_parts(floats).astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_array_equal(parts.astype(np.float64).sum(axis=0), floats)
    written = np.zeros((1, 3, len(floats)), np.uint16)
    compiled_write(floats[None], written)
    np.testing.assert_array_equal(written[0], bfloat16_parts(floats))


@pytest.mark.parametrize("kind", WHOLE)
@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 2 * LANES + 1), st.integers(0, 2**32 - 1))
def test_products_of_integers_are_exact(kind: str, rows: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.choice([0, 1, 127, 128, 255] if kind == "uint8" else [-127, -1, 0, 127], (rows, size)).astype(kind)
    weights = rng.choice([-127, -1, 0, 127], (size, 4 * size)).astype("int8" if kind == "uint8" else kind)
    packed = pack(weights, values.dtype)
    found = product(operand_of(values, packed, values.dtype), packed, size)
    np.testing.assert_array_equal(found, values.astype(np.int64) @ weights.astype(np.int64) + 1)


@pytest.mark.parametrize("kind", FLOAT_KINDS)
def test_a_row_gives_the_same_bits_alone_and_among_others(kind: np.dtype[Any]) -> None:
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=(41, 40)).astype(np.float32), rng.normal(size=(40, 160)).astype(np.float32)
    packed = pack(weights, kind)
    operand = operand_of(values, packed, kind)
    together = product(operand, packed, 40)
    alone = [product(operand[row : row + 1], packed, 40)[0] for row in range(len(operand))]
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("kind", FLOAT_KINDS)
def test_a_row_that_is_not_finite_does_not_affect_other_rows(kind: np.dtype[Any]) -> None:
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=(20, 40)).astype(np.float32), rng.normal(size=(40, 160)).astype(np.float32)
    packed = pack(weights, kind)
    clean = product(operand_of(values, packed, kind), packed, 40)
    values[3, 5] = np.nan
    spoilt = product(operand_of(values, packed, kind), packed, 40)
    assert np.isnan(spoilt[3]).all()
    np.testing.assert_array_equal(np.delete(spoilt, 3, axis=0), np.delete(clean, 3, axis=0))


@settings(deadline=None)
@given(st.integers(0, 9), st.integers(1, 20), st.integers(1, 4 * LANES + 9), st.integers(0, 2**32 - 1))
def test_an_affine_map_of_any_size_equals_numpys(rows: int, inputs: int, outputs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, weights, bias = (rng.normal(size=s).astype(np.float32) for s in ((rows, inputs), (inputs, outputs), outputs))
    np.testing.assert_allclose(AffineMap(weights, bias)(x), x @ weights + bias, rtol=1e-5, atol=1e-5)


def test_a_map_to_few_outputs_equals_numpys() -> None:
    rng = np.random.default_rng(0)
    x, weights, bias = rng.normal(size=(5, 7)), rng.normal(size=(7, 3)), rng.normal(size=3)
    np.testing.assert_allclose(affine(x, weights, bias), x @ weights + bias)


@pytest.mark.parametrize("features", FEWER_FEATURES)
def test_a_processor_with_fewer_features_passes_these_tests(features: str, tmp_path: Path) -> None:
    """Run the tests of this file in a new process, compiled for another processor."""
    compiler = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": features, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", "not with_fewer"]
    ran = subprocess.run(command, env=os.environ | compiler, capture_output=True, text=True, timeout=500, check=False)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
