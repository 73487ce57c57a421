"""Runs of the small classifiers that take moments, and corpora for them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model.baselines import BASELINES, Outcome, run_baseline
from model.data.corpora import FILES

SMALL = {"embedding_size": 8, "hidden_size": 8, "text_words": 12, "batch_texts": 32}


class CutError(Exception):
    """Stands in for a kill."""


def run_small(name: str, run_dir: Path, data: Path | None = None, cut: float = 2.0, **config: Any) -> Outcome:
    def on_progress(share: float, line: str) -> None:
        if share >= cut:
            raise CutError

    baseline = BASELINES[name]
    return run_baseline(baseline, baseline.config_with(SMALL | config, quick=True), data, run_dir, on_progress)


def write_corpora(data: Path, rows: Sequence[dict[str, object]], *names: str) -> Path:
    for name in names:
        file = data / FILES[name]
        file.parent.mkdir(parents=True, exist_ok=True)
        with gzip.open(file, "wt") as handle:
            handle.writelines(json.dumps(row) + "\n" for row in rows)
    return data


def reviews(num: int = 40) -> list[dict[str, object]]:
    words = {"positive": "a great film", "negative": "a boring film"}
    return [
        {"text": f"{words[label]}<br />take {i}", "label": label, "stream": f"film {i // 2}"}
        for i in range(num)
        for label in words
    ]
