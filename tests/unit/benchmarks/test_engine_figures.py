"""The benchmark of the engine: its quick form with the real peers, and what it prints, writes and draws."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.engine import measure
from benchmarks.engine.draw import draw_all
from benchmarks.engine.figures import Bar, BenchRow, EngineBench
from benchmarks.engine.tables import print_tables
from model import make_phrases
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


def find(rows: list[BenchRow], name: str, hidden_size: int) -> list[BenchRow]:
    return [row for row in rows if (row.name, row.hidden_size) == (name, hidden_size)]


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
