"""The laws of the engine: splitting, mixing, reordering and storing texts does not change the numbers.

Each kernel is compared with itself and with the reference network, within the bounds of `ways.py`. In float32, the
other order of sums and a tanh with an error of 5e-7 stay within 1e-5, even for texts of ten thousand tokens. int8 is as
close to itself, and within 0.05 of the reference network on the small random network of these tests.
"""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from model import InferenceEngine, ReferenceNetwork
from tests.unit.model.conftest import COMMON, TEXTS
from tests.unit.model.inference.laws.ways import (
    Kernel,
    Piece,
    assert_same,
    assert_threads_do_not_disturb_each_other,
    by_stream,
    joined,
    read_alone,
    read_in_calls,
    read_together,
    reordered,
    streams_in_pieces,
    streams_of_texts,
)

CALL_SIZES = st.lists(st.integers(1, 8), max_size=6)


@given(streams_of_texts())
def test_texts_scored_one_by_one_have_the_results_of_the_reference(
    engine: InferenceEngine, kernel: Kernel, reference: ReferenceNetwork, texts: list[Piece]
) -> None:
    for mine in by_stream(texts).values():
        expected = reference.read([(text, final) for _, text, final in mine])
        assert_same(read_alone(engine, mine), expected, kernel.reference_bound)


@given(streams_of_texts(), CALL_SIZES)
def test_a_stream_scored_in_several_calls_has_the_results_of_one_call(
    engine: InferenceEngine, kernel: Kernel, texts: list[Piece], call_sizes: list[int]
) -> None:
    assert_same(read_in_calls(engine, texts, call_sizes), read_together(engine, texts), kernel.bound)


@given(streams_of_texts())
def test_streams_in_one_batch_have_the_results_of_single_calls(
    engine: InferenceEngine, kernel: Kernel, texts: list[Piece]
) -> None:
    assert_same(read_together(engine, texts), read_alone(engine, texts), kernel.bound)


@given(streams_in_pieces(), st.data())
def test_the_order_of_streams_in_a_batch_does_not_matter(
    engine: InferenceEngine, kernel: Kernel, pieces: list[Piece], data: st.DataObject
) -> None:
    others = data.draw(reordered(by_stream(pieces)))
    found, expected = ({stream: [] for stream, _, _ in pieces} for _ in range(2))
    for results, order in ((found, others), (expected, pieces)):
        for (stream, _, _), result in zip(order, read_together(engine, order), strict=True):
            results[stream].append(result)
    for stream in expected:
        assert_same(found[stream], expected[stream], kernel.bound)


@given(streams_in_pieces(), CALL_SIZES)
def test_a_state_that_was_stored_as_bytes_gives_the_same_results_as_the_state_itself(
    engine: InferenceEngine, pieces: list[Piece], call_sizes: list[int]
) -> None:
    stored = read_in_calls(engine, pieces, call_sizes, through_bytes=True)
    assert_same(stored, read_in_calls(engine, pieces, call_sizes), bound=0)


@given(streams_in_pieces())
def test_the_last_piece_of_a_text_has_the_result_of_the_whole_text(
    engine: InferenceEngine, kernel: Kernel, pieces: list[Piece]
) -> None:
    for found in (read_together(engine, pieces), read_alone(engine, pieces)):
        for stream, mine in by_stream(pieces).items():
            results = [result for (other, _, _), result in zip(pieces, found, strict=True) if other == stream]
            texts, ends = joined(mine)
            whole = read_alone(engine, [(stream, text, True) for text in texts])
            assert_same([results[end] for end in ends], whole, kernel.bound)


@settings(max_examples=200)
@given(streams_in_pieces(), CALL_SIZES)
def test_all_of_these_together_have_the_results_of_the_reference(
    engine: InferenceEngine, kernel: Kernel, reference: ReferenceNetwork, pieces: list[Piece], call_sizes: list[int]
) -> None:
    found = read_in_calls(engine, pieces, call_sizes, through_bytes=True)
    for stream, mine in by_stream(pieces).items():
        results = [result for (other, _, _), result in zip(pieces, found, strict=True) if other == stream]
        assert_same(results, reference.read([(text, final) for _, text, final in mine]), kernel.reference_bound)
        texts, ends = joined(mine)
        whole = reference.read([(text, True) for text in texts])
        assert_same([results[end] for end in ends], whole, kernel.reference_bound)


@given(st.lists(st.sampled_from(["", " ", "\u200b", "good", "n't", "zebra"]), min_size=1, max_size=6), TEXTS)
def test_empty_texts_and_texts_of_one_token_have_the_same_results_beside_longer_ones(
    engine: InferenceEngine, kernel: Kernel, reference: ReferenceNetwork, short: list[str], longer: str
) -> None:
    texts = [*short, longer, short[0]]
    own_streams = [(number, text, True) for number, text in enumerate(texts)]
    one_stream = [(0, text, True) for text in texts]
    alone = [reference.read([(text, True)])[0] for text in texts]
    assert_same(read_together(engine, own_streams), alone, kernel.reference_bound)
    in_order = reference.read([(text, True) for text in texts])
    assert_same(read_together(engine, one_stream), in_order, kernel.reference_bound)


def test_a_text_of_ten_thousand_tokens_has_the_same_result_whole_in_pieces_and_beside_short_ones(
    engine: InferenceEngine, kernel: Kernel, reference: ReferenceNetwork
) -> None:
    long = " ".join(np.random.default_rng(0).choice(COMMON.split(), 10_000))
    texts = ["good", "", long, "so bad !"]
    found = read_together(engine, [(number, text, True) for number, text in enumerate(texts)])
    assert [result.num_tokens for result in found] == [1, 0, 10_000, 3]
    assert_same(found, [reference.read([(text, True)])[0] for text in texts], kernel.reference_bound)
    halves = [(0, long[:20_001], False), (0, long[20_001:], True)]
    for read in (read_together, read_alone):
        assert_same(read(engine, halves)[1:], found[2:3], kernel.bound)


def test_threads_that_score_at_once_do_not_disturb_each_other(engine: InferenceEngine) -> None:
    assert_threads_do_not_disturb_each_other(engine, num_calls=8, num_streams=30)
