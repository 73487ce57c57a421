"""The loops over cells that a matrix product cannot do, compiled by numba, without the interpreter's lock.

tanh is a quotient of two polynomials in x squared, fitted for this file by iteratively reweighted least squares to a
largest error of 1.1e-8 on [-8.5, 8.5], beyond which tanh is 1 to the last digit; rounding in float32 makes it 4e-7.
It has no branch and no call, so the loops run in vector registers. A logistic sigmoid is tanh at half the argument, and
that half is in the weights already (`halve_sigmoids`).
"""

# ruff: noqa: PLR0913, PLR0917 - compiled loops take plain arrays

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
DoubleArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MAX_WORDS = 3  # reported with a result

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _compiled(function: _Function) -> _Function:
    # sums may be reordered, so that they run in vector registers; what is not finite stays so
    options = {"fastmath": {"reassoc", "contract", "nsz"}, "error_model": "numpy"}
    return cast(_Function, numba.njit(cache=True, nogil=True, **options)(function))


_f = np.float32  # a plain Python number would make the loops double
_ONE, _HALF, _BOUND = _f(1.0), _f(0.5), _f(8.5)
_P0, _P1, _P2, _P3, _P4 = (
    _f(0.9999999455098587),
    _f(0.1340619501483426),
    _f(0.0035258061214011737),
    _f(2.1121350285164034e-05),
    _f(1.4098928922220511e-08),
)
_Q1, _Q2, _Q3, _Q4 = (
    _f(0.46739506397411695),
    _f(0.025991085683099765),
    _f(0.0003335668669592227),
    _f(8.073492310161963e-07),
)


@_compiled
def _tanh(x: Any) -> Any:
    x = _BOUND if x > _BOUND else (-_BOUND if x < -_BOUND else x)
    y = x * x
    p = (((_P4 * y + _P3) * y + _P2) * y + _P1) * y + _P0
    q = (((_Q4 * y + _Q3) * y + _Q2) * y + _Q1) * y + _ONE
    return x * p / q


@_compiled
def tanh(x: FloatArray) -> FloatArray:
    """Of each element of (n,): for the test that holds its error."""
    out = np.empty_like(x)
    for j in range(x.shape[0]):
        out[j] = _tanh(x[j])
    return out


@_compiled
def lstm_step(
    gates: FloatArray,
    inputs: FloatArray,
    index: IntArray,
    firsts: IntArray,
    step: int,
    hidden: FloatArray,
    cell: FloatArray,
) -> None:
    """One step of the rows that still run, in place.

    gates (n, 4H): recurrent part, its sigmoids halved; row r adds inputs[index[firsts[r] + step]], (4H,).
    hidden, cell (at least n, H).
    """
    size = hidden.shape[1]
    for r in range(gates.shape[0]):
        x = inputs[index[firsts[r] + step]]
        g = gates[r]
        h = hidden[r]
        c = cell[r]
        for j in range(size):
            i = _HALF * _tanh(g[j] + x[j]) + _HALF
            f = _HALF * _tanh(g[size + j] + x[size + j]) + _HALF
            a = _tanh(g[2 * size + j] + x[2 * size + j])
            o = _HALF * _tanh(g[3 * size + j] + x[3 * size + j]) + _HALF
            c[j] = f * c[j] + i * a
            h[j] = o * _tanh(c[j])


@_compiled
def pool_step(
    hidden: FloatArray,
    maximum: FloatArray,
    total: DoubleArray,
    num_tokens: IntArray,
    mean_logits: DoubleArray,
    readout: FloatArray,
    bias: FloatArray,
    firsts: IntArray,
    step: int,
    num_active: int,
    logits: FloatArray,
) -> None:
    """Take the new hidden states of the first `num_active` rows into their pools, and read the classes out.

    readout (9, H): last, maximum and mean, each for the three classes. mean_logits (rows, 3): the mean's part of the
    logits before it is divided by the number of tokens. logits (tokens, 3): filled at firsts[r] + step.
    """
    size = hidden.shape[1]
    for r in range(num_active):
        h = hidden[r]
        m = maximum[r]
        s = total[r]
        l0 = l1 = l2 = a0 = a1 = a2 = _f(0)
        for j in range(size):
            m[j] = h[j] if h[j] > m[j] else m[j]
            l0 += readout[0, j] * h[j] + readout[3, j] * m[j]
            l1 += readout[1, j] * h[j] + readout[4, j] * m[j]
            l2 += readout[2, j] * h[j] + readout[5, j] * m[j]
            a0 += readout[6, j] * h[j]
            a1 += readout[7, j] * h[j]
            a2 += readout[8, j] * h[j]
        for j in range(size):
            s[j] += h[j]
        num_tokens[r] += 1
        at = firsts[r] + step
        for k, last, mean in ((0, l0, a0), (1, l1, a1), (2, l2, a2)):
            mean_logits[r, k] += mean
            logits[at, k] = bias[k] + last + mean_logits[r, k] / num_tokens[r]


@_compiled
def word_changes(
    logits: FloatArray,
    before: IntArray,
    starts: IntArray,
    addend: FloatArray,
    temperature: float,
    chunk_tokens: IntArray,
    chunk_starts: IntArray,
    top: IntArray,
    changes: FloatArray,
) -> None:
    """Per request, the chunks at which the running score moved most, largest first.

    logits: of the text alone, after each token and, at `before` (requests,), before a request's first token, which is
    at `starts` (requests,). addend (requests, 3): the stream's part. chunk_tokens: tokens of each chunk;
    chunk_starts (requests + 1,): first chunk. top (requests, n), -1 where there is none, and changes: filled.
    """
    for i in range(top.shape[0]):
        top[i] = -1
        changes[i] = 0
        score = _score(logits[before[i]], addend[i], temperature)
        at = starts[i]
        for chunk in range(chunk_starts[i], chunk_starts[i + 1]):
            if chunk_tokens[chunk] == 0:
                continue
            at += chunk_tokens[chunk]
            new_score = _score(logits[at - 1], addend[i], temperature)
            _insert(top[i], changes[i], chunk - chunk_starts[i], new_score - score)
            score = new_score


@_compiled
def _score(logits: Any, addend: Any, temperature: Any) -> Any:
    """Probability of the last class less that of the first."""
    a = (logits[0] + addend[0]) / temperature
    b = (logits[1] + addend[1]) / temperature
    c = (logits[2] + addend[2]) / temperature
    highest = max(a, b, c)
    a, b, c = np.exp(a - highest), np.exp(b - highest), np.exp(c - highest)
    return (c - a) / (a + b + c)


@_compiled
def _insert(top: Any, changes: Any, chunk: Any, change: Any) -> None:
    place = top.shape[0]
    while place > 0 and (top[place - 1] < 0 or abs(changes[place - 1]) < abs(change)):
        place -= 1
    for k in range(top.shape[0] - 1, place, -1):
        top[k], changes[k] = top[k - 1], changes[k - 1]
    if place < top.shape[0]:
        top[place], changes[place] = chunk, change
