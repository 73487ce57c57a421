"""What all baselines share: registry, config and run directories; and a quick run of each on generated phrases."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from model.baselines import BASELINES, Baseline, BaselineConfig, Outcome, Point, find_baseline, run_baseline
from model.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class CoinConfig(BaselineConfig):
    """Hyperparameters of a baseline that guesses."""

    num_flips: int = 3
    bias: float = 0.5
    is_fair: bool = True


OUTCOME = Outcome(
    figures={"heads": 0.5}, num_parameters=1, seconds=0.25, curve=(Point(1, 0.7, 0.5),), notes=("a coin",)
)
COIN = Baseline(
    name="coin",
    description="guesses",
    metric="heads",
    published=None,
    source="",
    config=CoinConfig(),
    quick={"num_flips": 1},
    run=lambda config, data_dir, run_dir, on_progress: OUTCOME,
)


def test_a_run_leaves_its_hyperparameters_and_its_outcome(tmp_path: Path) -> None:
    assert run_baseline(COIN, COIN.config_with({"bias": 0.25}), None, tmp_path / "a" / "b") == OUTCOME
    config = json.loads((tmp_path / "a" / "b" / "config.json").read_bytes())
    assert config["preset"] == "coin"
    assert (config["bias"], config["is_fair"], config["num_flips"]) == (0.25, True, 3)
    assert Outcome.from_dict(json.loads((tmp_path / "a" / "b" / "outcome.json").read_bytes())) == OUTCOME


def test_a_finished_run_is_read_and_not_run_again(tmp_path: Path) -> None:
    run_baseline(COIN, COIN.config, None, tmp_path)

    def fail(*args: object) -> Outcome:
        raise AssertionError("run again")

    again = Baseline(**{name: getattr(COIN, name) for name in COIN.__slots__} | {"run": fail})
    assert run_baseline(again, again.config, None, tmp_path) == OUTCOME


def test_a_run_with_other_settings_is_refused_and_every_difference_named(tmp_path: Path) -> None:
    run_baseline(COIN, COIN.config, None, tmp_path)
    with pytest.raises(ConfigError, match=r"bias is 0.5 there and 0.1 here; is_fair is True there and False here"):
        run_baseline(COIN, COIN.config_with({"bias": 0.1, "is_fair": False}), None, tmp_path)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff"])
def test_a_directory_with_other_content_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"config\.json is not the file of a run"):
        run_baseline(COIN, COIN.config, None, tmp_path)


def test_an_unreadable_outcome_is_refused(tmp_path: Path) -> None:
    run_baseline(COIN, COIN.config, None, tmp_path)
    (tmp_path / "outcome.json").write_text('{"figures": {}}')
    with pytest.raises(ConfigError, match=r"outcome\.json is not the file of a run"):
        run_baseline(COIN, COIN.config, None, tmp_path)


def test_a_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(ConfigError, match="cannot be written to"):
        run_baseline(COIN, COIN.config, None, tmp_path / "run")


def test_an_unknown_name_gives_an_error_with_all_names() -> None:
    with pytest.raises(ConfigError) as caught:
        find_baseline("help")
    for name in BASELINES:
        assert f"  {name} " in str(caught.value)


def test_an_unknown_hyperparameter_gives_an_error_with_all_hyperparameters() -> None:
    with pytest.raises(
        ConfigError, match=r"coin has no hyperparameter 'epoch'; it has seed, threads, .*num_flips, bias, is_fair"
    ):
        COIN.config_with({"epoch": 3})


def test_all_wrong_hyperparameters_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        COIN.config_with({"num_flips": 0, "bias": float("nan"), "clip": "hard", "seed": -1})
    for problem in ("num_flips must be above 0", "bias must be above 0", "clip must be one of none, ", "seed must be"):
        assert problem in str(caught.value)


def test_given_hyperparameters_override_the_quick_ones() -> None:
    assert COIN.config_with({}, quick=True).num_flips == 1
    assert COIN.config_with({"num_flips": 7}, quick=True).num_flips == 7
    assert COIN.config_with({}) == COIN.config


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_runs_quick_and_without_data(name: str, tmp_path: Path) -> None:
    baseline = BASELINES[name]
    shares: list[float] = []
    config = baseline.config_with({}, quick=True)
    outcome = run_baseline(baseline, config, None, tmp_path, lambda share, line: shares.append(share))
    assert baseline.metric in outcome.figures
    assert outcome.num_parameters > 0
    assert [point.step for point in outcome.curve] == sorted({point.step for point in outcome.curve})
    assert shares
    assert all(0 <= share <= 1 for share in shares)
    assert "generated phrases" in "; ".join(outcome.notes) or not baseline.config.corpora()
    assert Outcome.from_dict(json.loads((tmp_path / "outcome.json").read_bytes())) == outcome
