"""Plots: what they show, that the same figures give the same file, and the errors where nothing can be drawn."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import ConfigError, ModelError
from model.evaluation.plots import Speed, check_plot_file, draw_curves, draw_frontier, draw_run, frontier

LOG = [
    {"stage": "language", "step": 500, "loss": 5.1, "perplexity": 140.2},
    {"stage": "text", "step": 500, "loss": 0.9, "held_imdb": 0.7},
    {"stage": "text", "step": 1000, "loss": 0.7, "held_imdb": 0.8, "held_sst2": 0.6},
    {"stage": "temperature", "step": 0, "temperature": 1.2},
]


def _write_log(run_dir: Path, lines: list[dict[str, object]]) -> Path:
    (run_dir / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run_dir


def test_a_run_is_drawn_with_a_column_for_each_stage_and_a_line_for_each_figure(tmp_path: Path) -> None:
    file = draw_run(_write_log(tmp_path, LOG))
    svg = file.read_text()
    assert file == tmp_path / "curve.svg"
    assert all(f">{text}<" in svg for text in ("language", "text", "loss", "perplexity", "held_imdb", "held_sst2"))
    assert ">temperature<" not in svg
    assert "font-face" not in svg


def test_the_same_figures_give_the_same_file_and_a_step_logged_twice_counts_once(tmp_path: Path) -> None:
    once = draw_run(_write_log(tmp_path, LOG)).read_bytes()
    doubted = {"stage": "text", "step": 1000, "loss": 90.0, "held_imdb": 0.1}
    assert draw_run(_write_log(tmp_path, [*LOG[:2], doubted, *LOG[2:]])).read_bytes() == once
    assert draw_run(_write_log(tmp_path, [*LOG, doubted])).read_bytes() != once


@pytest.mark.parametrize(
    ("log", "problem"),
    [
        (None, r"log\.jsonl: cannot be read: No such file"),
        ("", r"log\.jsonl: no losses in it"),
        ('{"stage": "temperature", "step": 0, "temperature": 1.2}\n', r"log\.jsonl: no losses in it"),
        ("not JSON\n", r"log\.jsonl: not the log of a training run"),
        ('{"loss": 1}\n', r"log\.jsonl: not the log of a training run"),
        ("3\n", r"log\.jsonl: not the log of a training run"),
    ],
)
def test_a_file_that_is_not_the_log_of_a_run_is_refused(log: str | None, problem: str, tmp_path: Path) -> None:
    if log is not None:
        (tmp_path / "log.jsonl").write_text(log)
    with pytest.raises(ModelError, match=problem):
        draw_run(tmp_path)
    assert not (tmp_path / "curve.svg").exists()


@pytest.mark.parametrize("name", ["curves.svg", "curves.png"])
def test_curves_and_frontiers_are_drawn_in_the_format_of_the_suffix(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    draw_curves({f"system {number}": [(1, 0.7, 0.5), (2, 0.6, 0.7)] for number in range(4)}, file)
    curves = file.read_bytes()
    draw_frontier({"IMDB": [Speed("small", 2e4, 0.9), Speed("large", 8e3, 0.93)]}, file)
    assert file.read_bytes() != curves
    if name.endswith("svg"):
        assert b">system 3<" in curves
        assert all(text in file.read_bytes() for text in (b">small: 0.900<", b">large: 0.930<", b">IMDB<"))
    else:
        assert curves.startswith(b"\x89PNG")


NETWORKS = st.lists(st.builds(Speed, st.text(max_size=3), st.floats(1, 1e5), st.floats(0, 1)), max_size=8)


@given(networks=NETWORKS)
def test_a_network_is_on_the_frontier_unless_another_is_as_good_in_both_and_better_in_one(
    networks: list[Speed],
) -> None:
    best = frontier(networks)
    for each in networks:
        beaten = any(
            other.texts_per_s >= each.texts_per_s
            and other.figure >= each.figure
            and (other.texts_per_s, other.figure) != (each.texts_per_s, each.figure)
            for other in networks
        )
        assert ((each.texts_per_s, each.figure) in {(on.texts_per_s, on.figure) for on in best}) != beaten
    assert [each.figure for each in best] == sorted({each.figure for each in best})


def test_a_plot_that_cannot_be_drawn_is_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_plot_file(tmp_path / "plot.SVG")
    with pytest.raises(ConfigError, match=r"plot\.pdf: the name of a plot should end in \.svg or \.png"):
        check_plot_file(tmp_path / "plot.pdf")
    with pytest.raises(ConfigError, match="there is no such directory to draw to"):
        check_plot_file(tmp_path / "absent" / "plot.svg")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModelError, match=r"drawn with matplotlib .*pip install '\.\[train\]'"):
        check_plot_file(tmp_path / "plot.svg")
