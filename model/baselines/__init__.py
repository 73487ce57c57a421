"""Systems of the literature, by name: `PRESETS` lists them, `run_preset` trains one in a run folder.

config.json   the preset's name and its knobs; a folder is only ever continued with the same ones
outcome.json  what the finished run found; a finished run is not run again
The other files are the preset's own. A preset's module is described in `model/baselines/baseline.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.baselines import next_word
from model.baselines.baseline import K, Knobs, OnProgress, Preset
from model.baselines.classifiers import imdb, linear, tweets
from model.baselines.outcome import Outcome, Point
from model.baselines.plain_numpy import chars, short_phrases
from model.errors import ConfigError
from model.files import keep_settings, write_whole

__all__ = ["PRESETS", "Knobs", "Outcome", "Point", "Preset", "find_preset", "run_preset"]

_ALL: tuple[Preset[Any], ...] = (
    *linear.PRESETS,
    *imdb.PRESETS,
    *tweets.PRESETS,
    *chars.PRESETS,
    *short_phrases.PRESETS,
    *next_word.PRESETS,
)

PRESETS: Mapping[str, Preset[Any]] = {preset.name: preset for preset in _ALL}
"""Name -> preset, in the order in which tables show them."""


def find_preset(name: str) -> Preset[Any]:
    """The preset of that name. Raises ConfigError that lists the names."""
    if name not in PRESETS:
        listed = "\n".join(f"  {preset.name:22} {preset.description}" for preset in PRESETS.values())
        raise ConfigError(f"there is no preset {name!r}; there are\n{listed}")
    return PRESETS[name]


def run_preset(
    preset: Preset[K], knobs: K, data: Path | None, folder: Path, on_progress: OnProgress = lambda share, line: None
) -> Outcome:
    """Train `preset` in `folder`; a run that was cut off goes on there, and one that is finished is only read.

    Without a data folder, texts are generated phrases: for a try or a test, never for a figure.
    Raises ConfigError for a folder with something else in it, DataError for data that is missing or cannot be read
    and ModelError where a package is missing; all before anything is trained.
    """
    keep_settings(folder, {"preset": preset.name, **knobs.to_dict()})
    file = folder / "outcome.json"
    if file.exists():
        return _read_outcome(file)
    outcome = preset.run(knobs, data, folder, on_progress)
    write_whole(file, (json.dumps(outcome.to_dict(), indent=2) + "\n").encode())
    return outcome


def _read_outcome(file: Path) -> Outcome:
    try:
        return Outcome.from_dict(json.loads(file.read_bytes()))
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file} is not the file of a run: {error}") from error
