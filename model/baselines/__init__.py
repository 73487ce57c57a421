"""Systems of the literature, by name: `BASELINES` lists them, `run_baseline` trains one in a run folder.

config.json   the baseline's name and its hyperparameters; a folder is only ever continued with the same ones
outcome.json  what the finished run found; a finished run is not run again
The other files are the baseline's own. A baseline's module is described in `model/baselines/baseline.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.baselines import next_word
from model.baselines.baseline import Baseline, BaselineConfig, K, OnProgress
from model.baselines.classifiers import imdb, linear, tweets
from model.baselines.outcome import Outcome, Point
from model.baselines.plain_numpy import chars, short_phrases
from model.errors import ConfigError
from model.files import keep_settings, write_whole

__all__ = ["BASELINES", "Baseline", "BaselineConfig", "Outcome", "Point", "find_baseline", "run_baseline"]

_ALL: tuple[Baseline[Any], ...] = (
    *linear.BASELINES,
    *imdb.BASELINES,
    *tweets.BASELINES,
    *chars.BASELINES,
    *short_phrases.BASELINES,
    *next_word.BASELINES,
)

BASELINES: Mapping[str, Baseline[Any]] = {baseline.name: baseline for baseline in _ALL}
"""Name -> baseline, in the order in which tables show them."""


def find_baseline(name: str) -> Baseline[Any]:
    """The baseline of that name. Raises ConfigError that lists the names."""
    if name not in BASELINES:
        listed = "\n".join(f"  {baseline.name:22} {baseline.description}" for baseline in BASELINES.values())
        raise ConfigError(f"there is no preset {name!r}; there are\n{listed}")
    return BASELINES[name]


def run_baseline(
    baseline: Baseline[K],
    config: K,
    data: Path | None,
    folder: Path,
    on_progress: OnProgress = lambda share, line: None,
) -> Outcome:
    """Train `baseline` in `folder`; a run that was cut off goes on there, and one that is finished is only read.

    Without a data folder, texts are generated phrases: for a try or a test, never for a figure.
    Raises ConfigError for a folder with something else in it, DataError for data that is missing or cannot be read
    and ModelError where a package is missing; all before anything is trained.
    """
    keep_settings(folder, {"preset": baseline.name, **config.to_dict()})
    file = folder / "outcome.json"
    if file.exists():
        return _read_outcome(file)
    outcome = baseline.run(config, data, folder, on_progress)
    write_whole(file, (json.dumps(outcome.to_dict(), indent=2) + "\n").encode())
    return outcome


def _read_outcome(file: Path) -> Outcome:
    try:
        return Outcome.from_dict(json.loads(file.read_bytes()))
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file} is not the file of a run: {error}") from error
