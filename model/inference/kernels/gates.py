"""The element-wise loops of the network: gates, pools, and changes of the running score.

tanh is computed as p / q, with polynomials in x squared (p also has a factor x). They were fitted for this file by
iteratively reweighted least squares, to a largest error of 1.1e-8 on [-8.5, 8.5]; rounding in float32 makes it 4e-7.
Beyond that interval tanh is 1 in float32. The loops have no branches and no calls, so they are vectorised. The logistic
sigmoid is (1 + tanh(x / 2)) / 2 = (q + p) / 2q; the weights are already halved for it (`cpu.py`). Three gates share one
division, which costs more than the rest of their arithmetic.
"""

# ruff: noqa: PLR0913, PLR0917 - compiled loops take plain arrays

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from model.inference.kernels.compiled import compiled, inlined, overload, use_widest_vectors

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

MAX_WORDS = 3  # in a result

_f = np.float32  # a Python float would turn the loops into float64
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


@inlined
def _clipped(x: Any) -> Any:
    return _BOUND if x > _BOUND else (-_BOUND if x < -_BOUND else x)


@inlined
def _p(x: Any, y: Any) -> Any:
    return ((((_P4 * y + _P3) * y + _P2) * y + _P1) * y + _P0) * x


@inlined
def _q(y: Any) -> Any:
    return (((_Q4 * y + _Q3) * y + _Q2) * y + _Q1) * y + _ONE


@compiled
def tanh(x: FloatArray) -> FloatArray:
    """tanh of each element of (n,). Only the test of its error calls it."""
    out = np.empty_like(x)
    for j in range(x.shape[0]):
        clipped = _clipped(x[j])
        out[j] = _p(clipped, clipped * clipped) / _q(clipped * clipped)
    return out


@inlined
def _cell_after(i: Any, f: Any, a: Any, c: Any) -> Any:
    """sigmoid(2f) c + sigmoid(2i) tanh(a), with one division."""
    i, f, a = _clipped(i), _clipped(f), _clipped(a)
    ii, ff, aa = i * i, f * f, a * a
    qi, qf, qa = _q(ii), _q(ff), _q(aa)
    kept = (qf + _p(f, ff)) * c * (qi * qa)
    added = (qi + _p(i, ii)) * _p(a, aa) * qf
    return _HALF * (kept + added) / (qi * qf * qa)


@inlined
def _hidden_after(o: Any, c: Any) -> Any:
    """sigmoid(2o) tanh(c), with one division."""
    o, c = _clipped(o), _clipped(c)
    oo, cc = o * o, c * c
    qo, qc = _q(oo), _q(cc)
    return _HALF * (qo + _p(o, oo)) * _p(c, cc) / (qo * qc)


def _value(values: Any, scale: Any, row: int, gate: int, j: int) -> Any:
    """values[row, gate, j] as float32. Integers are multiplied by scale[gate, j]."""


@overload(_value, inline="always")
def _compile_value(values: Any, scale: Any, row: Any, gate: Any, j: Any) -> Any:
    if values.dtype == types.float32:

        def value(values: Any, scale: Any, row: Any, gate: Any, j: Any) -> Any:
            return values[row, gate, j]

    else:

        def value(values: Any, scale: Any, row: Any, gate: Any, j: Any) -> Any:
            return _f(values[row, gate, j]) * scale[gate, j]

    return value


@compiled
def step_row(
    sums: Any, row: int, sum_scale: Any, inputs: Any, at: int, input_scale: Any, hidden: Any, cell: Any, place: int
) -> None:
    """One LSTM step of hidden[place] and cell[place], in place.

    The gates are sums[row] + inputs[at], those of sigmoids halved. sums (rows, 4, cells), cells padded to whole blocks;
    inputs (n, 4, H); hidden, cell (places, H). sums and inputs may be integers; their scales are (4, cells), (4, H).
    """
    use_widest_vectors()
    for j in range(hidden.shape[1]):
        i = _value(sums, sum_scale, row, 0, j) + _value(inputs, input_scale, at, 0, j)
        f = _value(sums, sum_scale, row, 1, j) + _value(inputs, input_scale, at, 1, j)
        a = _value(sums, sum_scale, row, 2, j) + _value(inputs, input_scale, at, 2, j)
        o = _value(sums, sum_scale, row, 3, j) + _value(inputs, input_scale, at, 3, j)
        c = _cell_after(i, f, a, cell[place, j])
        cell[place, j] = c
        hidden[place, j] = _hidden_after(o, c)


@compiled
def pool_row(
    hidden: Any,
    maximum: Any,
    total: Any,
    num_tokens: Any,
    mean_logits: Any,
    place: int,
    readout: Any,
    bias: Any,
    logits: Any,
    at: int,
) -> None:
    """Update the pools of the row at `place` with its new hidden state, and write its logits to logits[at].

    hidden, maximum, total (places, H); num_tokens (places,); readout (9, H): weights of last, maximum and mean, each
    for three classes; mean_logits (places, 3): the mean's term of the logits times the number of tokens.
    """
    use_widest_vectors()
    l0 = l1 = l2 = a0 = a1 = a2 = _f(0)
    for j in range(hidden.shape[1]):
        h = hidden[place, j]
        m = maximum[place, j]
        m = h if h > m else m
        maximum[place, j] = m
        l0 += readout[0, j] * h + readout[3, j] * m
        l1 += readout[1, j] * h + readout[4, j] * m
        l2 += readout[2, j] * h + readout[5, j] * m
        a0 += readout[6, j] * h
        a1 += readout[7, j] * h
        a2 += readout[8, j] * h
    for j in range(hidden.shape[1]):
        total[place, j] += hidden[place, j]
    num_tokens[place] += 1
    for k, last, mean in ((0, l0, a0), (1, l1, a1), (2, l2, a2)):
        mean_logits[place, k] += mean
        logits[at, k] = bias[k] + last + mean_logits[place, k] / num_tokens[place]


@compiled
def word_changes(
    logits: FloatArray,
    before: IntArray,
    starts: IntArray,
    addend: FloatArray,
    is_bounded: bool,
    temperatures: NDArray[np.float64],
    chunk_tokens: IntArray,
    chunk_starts: IntArray,
    top: IntArray,
    changes: FloatArray,
) -> None:
    """Find the chunks that changed the running score of each request most, the largest change first.

    logits (tokens + rows, 3): of the text alone, after each token; logits[before] are those before a request's first
    token. before, starts (requests,): index of those logits, and of the first token. addend (requests, 3): what the
    stream adds, and is_bounded whether the neutral logit follows it (`bound.py`). temperatures (requests,).
    chunk_tokens (chunks,): tokens of each chunk. chunk_starts (requests + 1,): first chunk of each request. Output: top
    (requests, n), the chunk numbers, -1 for none; changes (requests, n).
    """
    for i in range(top.shape[0]):
        top[i] = -1
        changes[i] = 0
        score = _score(logits[before[i]], addend[i], is_bounded, temperatures[i])
        at = starts[i]
        for chunk in range(chunk_starts[i], chunk_starts[i + 1]):
            if chunk_tokens[chunk] == 0:
                continue
            at += chunk_tokens[chunk]
            new_score = _score(logits[at - 1], addend[i], is_bounded, temperatures[i])
            _insert(top[i], changes[i], chunk - chunk_starts[i], new_score - score)
            score = new_score


@compiled
def _score(logits: Any, addend: Any, is_bounded: Any, temperature: Any) -> Any:
    """The probability of the last class minus that of the first."""
    a, b, c = logits[0] + addend[0], logits[1] + addend[1], logits[2] + addend[2]
    if is_bounded:
        b += max(a, c) - max(logits[0], logits[2])
    a, b, c = a / temperature, b / temperature, c / temperature
    highest = max(a, b, c)
    a, b, c = np.exp(a - highest), np.exp(b - highest), np.exp(c - highest)
    return (c - a) / (a + b + c)


@compiled
def _insert(top: Any, changes: Any, chunk: Any, change: Any) -> None:
    place = top.shape[0]
    while place > 0 and (top[place - 1] < 0 or abs(changes[place - 1]) < abs(change)):
        place -= 1
    for k in range(top.shape[0] - 1, place, -1):
        top[k], changes[k] = top[k - 1], changes[k - 1]
    if place < top.shape[0]:
        top[place], changes[place] = chunk, change
