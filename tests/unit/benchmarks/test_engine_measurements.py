"""What the engine's benchmark measures, and figures that follow from given times."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.engine import measure
from benchmarks.engine.contestants.contestant import Contestant, fastest, ours
from benchmarks.engine.contestants.work import Work, exact_hidden, random_tweets, random_weights, texts_of
from benchmarks.engine.figures import BenchSpeed
from benchmarks.engine.measurements.latency import latency_rows
from benchmarks.engine.measurements.mixes import mix_row
from benchmarks.engine.measurements.processes import two_processes_row
from benchmarks.engine.measurements.race import check_hidden, ratios, speed_of
from benchmarks.engine.measurements.whole import pieces_of, with_hot_stream
from model import ModelConfig, Request
from model.errors import ComparisonError
from model.inference.kernels.recurrence import CPU_PRECISIONS


@pytest.fixture(scope="module")
def work() -> Work:
    config = ModelConfig(num_words=50, num_buckets=4, embedding_size=6, hidden_size=8)
    return Work(config, random_weights(config), random_tweets(40, 50), batch=16)


def test_ratios_follow_from_given_rates() -> None:
    rates = {
        "packed": 10.0,
        "padded": 4.0,
        "products": 40.0,
        "ort_float32_bucketed": 16.0,
        "ort_float32_ahead": 25.0,
        "ours_float32": 30.0,
        "ours_float32_ahead": 35.0,
    }
    rows = ratios([speed(128, name, rate) for name, rate in rates.items()])
    assert [(row.name, pytest.approx(row.value), row.is_met) for row in rows] == [
        ("float32 against torch packed", 3.0, True),
        ("float32 against torch padded", 7.5, True),
        ("float32 against the matrix products alone", 0.75, None),
        ("float32 against ONNX Runtime bucketed", 1.4, None),  # the lower of 30 to 16 and 35 to 25
    ]


def test_a_ratio_below_its_bar_does_not_meet_it() -> None:
    rates = {"packed": 10.0, "padded": 5.0, "products": 24.0, "ours_float32": 19.0, "ours_float32_ahead": 1.0}
    rates |= {"ort_float32_bucketed": 1.0, "ort_float32_ahead": 1.0}
    rows = ratios([speed(256, name, rate) for name, rate in rates.items()])
    assert [row.is_met for row in rows[:3]] == [False, False, False]


def speed(hidden_size: int, name: str, texts_per_s: float) -> BenchSpeed:
    contestant = Contestant(name, name, np.empty, np.arange(1))
    texts = texts_of(np.full(100, 20), 10)
    return speed_of(contestant, hidden_size, texts, 100 / texts_per_s, None)


def test_two_processes_are_as_fast_as_the_slower_one() -> None:
    rounds = [
        ([{"clock_s": 1.0, "cpu_s": 0.9}], [{"clock_s": 1.1, "cpu_s": 0.8}, {"clock_s": 1.6, "cpu_s": 0.9}]),
        ([{"clock_s": 1.2, "cpu_s": 1.2}], [{"clock_s": 1.25, "cpu_s": 1.0}, {"clock_s": 1.2, "cpu_s": 1.0}]),
    ]
    row = two_processes_row(128, rounds)
    assert row.value == pytest.approx(2 * 1.0 / 1.25)
    assert row.is_met is False
    assert "2.00x" in row.note


def test_a_latency_is_the_median_of_the_calls() -> None:
    def contestant(name: str) -> Contestant:
        return Contestant(name, name, np.empty, np.arange(1))

    times_ms = np.array([[0.5, 0.4, 9.0], [2.0, 1.0, 3.0]])
    ours, padded = latency_rows(256, [contestant("ours_float32"), contestant("padded")], times_ms)
    assert (ours.value, ours.is_met) == (0.5, True)
    assert "4.0 times as fast as torch" in ours.note
    assert (padded.value, padded.bar) == (2.0, None)


def test_the_rate_of_a_mix_is_per_token_and_not_per_text() -> None:
    mixes = {"short": texts_of(np.full(8, 5), 10), "long": texts_of(np.full(8, 50), 10)}
    row = mix_row(128, "float32", mixes, [1.0, 12.5])
    assert row.value == pytest.approx(0.8)
    assert row.is_met is False


def test_a_contestant_with_other_hidden_states_is_refused(work: Work) -> None:
    exact = exact_hidden(work.weights, work.texts)
    order = np.arange(len(exact))
    assert check_hidden(Contestant("same", "same", lambda: exact, order), exact) == (0, 0)
    with pytest.raises(ComparisonError, match="off computes other hidden states"):
        check_hidden(Contestant("off", "off", lambda: exact + np.float32(2e-4), order), exact)
    with pytest.raises(ComparisonError):
        check_hidden(Contestant("mixed up", "mixed up", lambda: exact, order[::-1]), exact)


def test_sorted_ahead_is_the_same_work_in_another_order(work: Work) -> None:
    _, ahead = ours(work, CPU_PRECISIONS[0])
    assert (np.diff(work.texts.lengths[ahead.order]) >= 0).all()
    check_hidden(ahead, exact_hidden(work.weights, work.texts))


def test_a_peer_takes_part_with_its_fastest_setting() -> None:
    slow, quick = (Contestant(name, name, np.empty, np.arange(1)) for name in ("slow", "quick"))
    assert fastest([slow, quick], [2.0, 1.0]) is quick


def test_random_tweets_have_the_lengths_and_word_frequencies_of_tweets() -> None:
    texts = random_tweets(4096)
    assert texts.mean_tokens == pytest.approx(20, abs=0.5)
    assert texts.lengths.min() >= 1
    assert np.mean(texts.ids < 100) > 0.4  # a few words make up much of the text
    assert texts.ids.max() < 30_000


def test_a_hot_stream_has_its_share_of_a_batch() -> None:
    requests = [Request(number, "a b") for number in range(10)]
    hot = with_hot_stream(requests)
    assert [request.text for request in hot] == [request.text for request in requests]
    assert sum(request.stream == "hot" for request in hot) == 3


@pytest.mark.parametrize("text", ["one", "one two", "a b  c d e f g", " led by a space"])
def test_pieces_are_the_text(text: str) -> None:
    pieces = pieces_of(Request("s", text))
    assert "".join(piece.text for piece in pieces) == text
    assert [piece.final for piece in pieces] == [False] * (len(pieces) - 1) + [True]


def test_the_full_form_measures_a_full_vocabulary_in_full_batches() -> None:
    sizes = measure.Sizes()
    assert (sizes.vocabulary, sizes.batch) == (30_000, 256)
