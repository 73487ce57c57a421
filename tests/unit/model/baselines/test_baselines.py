"""The presets as such: their registry, their knobs, their run folders, and what each finds on generated phrases."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="presets need pip install '.[train]'")
pytest.importorskip("gensim", reason="presets need pip install '.[train]'")

from model.baselines import PRESETS, Knobs, Outcome, Point, Preset, find_preset, run_preset
from model.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class CoinKnobs(Knobs):
    """Knobs of a preset that guesses."""

    num_flips: int = 3
    bias: float = 0.5
    is_fair: bool = True


OUTCOME = Outcome(
    figures={"heads": 0.5}, num_parameters=1, seconds=0.25, curve=(Point(1, 0.7, 0.5),), notes=("a coin",)
)
COIN = Preset(
    name="coin",
    description="guesses",
    metric="heads",
    published=None,
    source="",
    knobs=CoinKnobs(),
    quick={"num_flips": 1},
    run=lambda knobs, data, folder, on_progress: OUTCOME,
)


def test_a_run_leaves_its_knobs_and_its_outcome(tmp_path: Path) -> None:
    assert run_preset(COIN, COIN.knobs_with({"bias": 0.25}), None, tmp_path / "a" / "b") == OUTCOME
    config = json.loads((tmp_path / "a" / "b" / "config.json").read_bytes())
    assert config["preset"] == "coin"
    assert (config["bias"], config["is_fair"], config["num_flips"]) == (0.25, True, 3)
    assert Outcome.from_dict(json.loads((tmp_path / "a" / "b" / "outcome.json").read_bytes())) == OUTCOME


def test_a_finished_run_is_read_and_not_run_again(tmp_path: Path) -> None:
    run_preset(COIN, COIN.knobs, None, tmp_path)

    def fail(*args: object) -> Outcome:
        raise AssertionError("run again")

    again = Preset(**{name: getattr(COIN, name) for name in COIN.__slots__} | {"run": fail})
    assert run_preset(again, again.knobs, None, tmp_path) == OUTCOME


def test_a_folder_with_other_settings_is_refused_and_every_difference_named(tmp_path: Path) -> None:
    run_preset(COIN, COIN.knobs, None, tmp_path)
    with pytest.raises(ConfigError, match=r"bias is 0.5 there and 0.1 here; is_fair is True there and False here"):
        run_preset(COIN, COIN.knobs_with({"bias": 0.1, "is_fair": False}), None, tmp_path)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff"])
def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"config\.json is not the file of a run"):
        run_preset(COIN, COIN.knobs, None, tmp_path)


def test_an_outcome_that_is_none_is_refused(tmp_path: Path) -> None:
    run_preset(COIN, COIN.knobs, None, tmp_path)
    (tmp_path / "outcome.json").write_text('{"figures": {}}')
    with pytest.raises(ConfigError, match=r"outcome\.json is not the file of a run"):
        run_preset(COIN, COIN.knobs, None, tmp_path)


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(ConfigError, match="cannot be written to"):
        run_preset(COIN, COIN.knobs, None, tmp_path / "run")


def test_an_unknown_name_is_answered_with_all_names() -> None:
    with pytest.raises(ConfigError) as caught:
        find_preset("help")
    for name in PRESETS:
        assert f"  {name} " in str(caught.value)


def test_an_unknown_knob_is_answered_with_all_knobs() -> None:
    with pytest.raises(
        ConfigError, match=r"coin has no knob 'epoch'; it has seed, threads, .*num_flips, bias, is_fair"
    ):
        COIN.knobs_with({"epoch": 3})


def test_all_wrong_knobs_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        COIN.knobs_with({"num_flips": 0, "bias": float("nan"), "clip": "hard", "seed": -1})
    for problem in ("num_flips must be above 0", "bias must be above 0", "clip must be one of none, ", "seed must be"):
        assert problem in str(caught.value)


def test_knobs_that_are_given_go_before_the_quick_ones() -> None:
    assert COIN.knobs_with({}, quick=True).num_flips == 1
    assert COIN.knobs_with({"num_flips": 7}, quick=True).num_flips == 7
    assert COIN.knobs_with({}) == COIN.knobs


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_runs_quick_and_without_data(name: str, tmp_path: Path) -> None:
    preset = PRESETS[name]
    shares: list[float] = []
    knobs = preset.knobs_with({}, quick=True)
    outcome = run_preset(preset, knobs, None, tmp_path, lambda share, line: shares.append(share))
    assert preset.metric in outcome.figures
    assert outcome.num_parameters > 0
    assert [point.step for point in outcome.curve] == sorted({point.step for point in outcome.curve})
    assert shares
    assert all(0 <= share <= 1 for share in shares)
    assert "generated phrases" in "; ".join(outcome.notes) or not preset.knobs.corpora()
    assert Outcome.from_dict(json.loads((tmp_path / "outcome.json").read_bytes())) == outcome
