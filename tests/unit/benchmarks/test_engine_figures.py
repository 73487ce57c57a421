"""The benchmark of the engine: its quick form with the real peers, and figures that follow from given times."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks.engine import measure
from benchmarks.engine.contestants.contestant import Contestant, fastest, ours
from benchmarks.engine.contestants.work import Work, exact_hidden, random_tweets, random_weights, texts_of
from benchmarks.engine.draw import draw_all
from benchmarks.engine.figures import Bar, BenchRow, BenchSpeed, EngineBench
from benchmarks.engine.measurements.latency import latency_rows
from benchmarks.engine.measurements.mixes import mix_row
from benchmarks.engine.measurements.processes import two_processes_row
from benchmarks.engine.measurements.race import check_hidden, ratios, speed_of
from benchmarks.engine.measurements.whole import pieces_of, with_hot_stream
from benchmarks.engine.tables import print_tables
from model import ModelConfig, Request, make_phrases
from model.errors import ComparisonError
from model.inference.kernels.recurrence import CPU_PRECISIONS
from tests.unit.docs.pages import blocks

PEERS = {"padded", "packed", "packed_int8"} | {
    f"ort_{precision}_{way}" for precision in ("float32", "int8") for way in ("bucketed", "ahead")
}
OURS = {f"ours_{precision}{way}" for precision in CPU_PRECISIONS for way in ("", "_ahead")}


@pytest.fixture(scope="module")
def plots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plots")


@pytest.fixture(scope="module")
def quick(tiny_checkpoint: Path, plots: Path) -> EngineBench:
    texts = [phrase.text for phrase in make_phrases(1, measure.num_bench_texts(quick=True))]
    return measure.measure_engine(texts, checkpoint=tiny_checkpoint, quick=True, plots=plots)


@pytest.fixture(scope="module")
def work() -> Work:
    config = ModelConfig(num_words=50, num_buckets=4, embedding_size=6, hidden_size=8)
    return Work(config, random_weights(config), random_tweets(40, 50), batch=16)


def test_every_contestant_runs_with_both_numbers_of_cells(quick: EngineBench) -> None:
    for hidden_size in (128, 256):
        names = [speed.name for speed in quick.speeds if speed.hidden_size == hidden_size]
        assert sorted(names) == sorted(PEERS | OURS | {"products"})


def test_float32_is_exact_and_int8_reports_its_error(quick: EngineBench) -> None:
    for speed in quick.speeds:
        if speed.name == "products":
            assert speed.max_difference is None
        elif "int8" in speed.name:
            assert 0 < speed.mean_difference < speed.max_difference < 0.2
        else:
            assert speed.max_difference < 1e-4


def test_the_rates_of_a_contestant_are_consistent(quick: EngineBench) -> None:
    for speed in quick.speeds:
        assert speed.tokens_per_s / speed.texts_per_s == pytest.approx(quick.settings["mean_tokens"])
        assert speed.gflops == pytest.approx(8 * speed.hidden_size**2 * speed.tokens_per_s / 1e9)


def test_ratios_follow_from_the_rates(quick: EngineBench) -> None:
    for hidden_size in (128, 256):
        [row] = find(quick.rows, "float32 against torch packed", hidden_size)
        ours, packed = (quick.speed(hidden_size, name).texts_per_s for name in ("ours_float32", "packed"))
        assert row.value == pytest.approx(ours / packed)


def test_every_figure_with_a_bar_has_a_row(quick: EngineBench) -> None:
    bars = {(row.name.split(":")[0], row.hidden_size): row.bar for row in quick.rows if row.bar}
    assert bars["float32 against torch packed", 128] == Bar(2.8)
    assert bars["float32 against torch packed", 256] == Bar(2.0)
    assert bars["float32 against torch padded", 128] == Bar(6.0)
    assert bars["float32 against torch padded", 256] == Bar(4.5)
    assert bars["float32 against the matrix products alone", 256] == Bar(0.8)
    assert bars["two processes on two cores against one", 128] == Bar(1.95)
    assert bars["ours, float32", 256] == Bar(1.0, is_least=False)
    assert bars["start", None] == Bar(2.0, is_least=False)
    assert bars["memory after the start", None] == Bar(400.0, is_least=False)
    assert bars["whole score path against VADER, int8", None] == Bar(2.0)
    assert bars["tokenising a tweet", None] == Bar(5.0, is_least=False)
    assert bars["cost with 30% of a batch in one stream", None] == Bar(1.05, is_least=False)


def test_the_page_shows_rows_that_are_printed(quick: EngineBench, capsys: pytest.CaptureFixture[str]) -> None:
    """Not all of them: its figures are of a machine that measured before some were added."""
    (block,) = [one for one in blocks("text") if one.page == "docs/engine.md"]
    print_tables(quick)
    printed = names_of_rows(capsys.readouterr().out)
    shown = names_of_rows(block.text)
    assert len(shown) > 50
    assert [name for name in shown if name not in printed] == []


def names_of_rows(text: str) -> list[str]:
    """The first cells of all tables, with their headings; a cell that is wrapped is one."""
    names: list[str] = []
    for line in text.splitlines():
        if line.startswith(("│", "┃")):
            name, *others = (cell.strip() for cell in re.split("[│┃]", line)[1:4])
            names = [*names, name] if any(others) else [*names[:-1], f"{names[-1]} {name}".strip()]
    return names


def test_the_json_has_every_row(quick: EngineBench) -> None:
    plain = json.loads(json.dumps(quick.to_dict(), allow_nan=False))
    assert len(plain["rows"]) == len(quick.rows)
    for row in plain["rows"]:
        assert row["value"] >= 0
        assert row["unit"] in {"x", "ms", "us", "s", "MB"}
        if row["bar"]:
            limit = row["bar"]["limit"]
            assert row["is_met"] == (row["value"] >= limit if row["bar"]["is_least"] else row["value"] <= limit)
        else:
            assert row["is_met"] is None
    assert plain["machine"]["matrix_gflops"] > 0
    assert plain["settings"]["batch"] == 32


def test_the_plots_are_complete_and_the_same_for_the_same_figures(
    quick: EngineBench, plots: Path, tmp_path: Path
) -> None:
    draw_all(quick, tmp_path)
    for name in ("roofline.svg", "scaling.svg"):
        assert (plots / name).read_bytes() == (tmp_path / name).read_bytes()
        shown = " ".join(ElementTree.parse(plots / name).getroot().itertext())
        assert "128 cells" in shown
        assert "ours, float32" in shown
        assert "torch nn.LSTM, packed" in shown


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


def speed(hidden_size: int, name: str, texts_per_s: float) -> BenchSpeed:
    contestant = Contestant(name, name, np.empty, np.arange(1))
    texts = texts_of(np.full(100, 20), 10)
    return speed_of(contestant, hidden_size, texts, 100 / texts_per_s, None)


def find(rows: list[BenchRow], name: str, hidden_size: int) -> list[BenchRow]:
    return [row for row in rows if (row.name, row.hidden_size) == (name, hidden_size)]
