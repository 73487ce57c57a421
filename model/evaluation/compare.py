"""A comparison of checkpoints on the same held-out data. Needs no torch."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from model.checkpoint import Checkpoint, find_checkpoint, load_checkpoint
from model.data.corpora import read_corpora
from model.errors import ComparisonError
from model.evaluation.evaluate import CARRIED, RESET, Evaluation, Row, evaluate_checkpoint, held_out_split
from model.evaluation.plots import Speed, check_plot_file, draw_frontier
from model.inference.batch import Request
from model.inference.engine import InferenceEngine

TEXTS_PER_CALL = 256  # a worker's micro-batch
NUM_TIMED, NUM_PASSES = 10_000, 3  # tweets, and passes over them, of which the fastest counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One checkpoint's size, scores and, if measured, speed."""

    checkpoint: str  # the caller's name for it, since two checkpoints may have the same name
    num_parameters: int
    size_bytes: int  # of all its files
    evaluation: Evaluation
    tweets_per_s: float | None = None  # on one core; None if not measured

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return asdict(self)


def compare_checkpoints(
    checkpoints: Mapping[str, Path],
    data_dir: Path,
    *,
    frontier: Path | None = None,
    on_row: Callable[[str, Row], None] = lambda name, row: None,
) -> list[Compared]:
    """Measure checkpoints (name -> directory or packaged name) as `evaluate_checkpoint` does, in order.

    frontier: a file for a plot of accuracy against speed, which is then measured too. `on_row` is called with the name
    of the checkpoint and each row as soon as it is measured.

    Raises ComparisonError for fewer than two checkpoints, and for checkpoints that held out different films, since one
    would be measured on films that another learnt from; CheckpointError and DataError as `evaluate_checkpoint` does;
    and with `frontier` what `check_plot_file` raises. All checkpoints are checked before the first is measured.
    """
    if len(checkpoints) < 2:
        raise ComparisonError("a comparison needs at least two different checkpoints")
    if frontier:
        check_plot_file(frontier)
    directories = {name: find_checkpoint(checkpoint) for name, checkpoint in checkpoints.items()}
    loaded = {name: load_checkpoint(directory) for name, directory in directories.items()}
    _check_splits(loaded)
    tweets = [tweet.text for tweet in read_corpora(data_dir, ("semeval_dev",))["semeval_dev"]] if frontier else []
    compared = [
        Compared(
            checkpoint=name,
            num_parameters=sum(tensor.size for tensor in loaded[name].weights.values()),
            size_bytes=sum(file.stat().st_size for file in directory.iterdir() if file.is_file()),
            evaluation=evaluate_checkpoint(directory, data_dir, on_row=partial(on_row, name)),
            tweets_per_s=texts_per_s(loaded[name], tweets[:NUM_TIMED]) if frontier else None,
        )
        for name, directory in directories.items()
    ]
    if frontier:
        draw_frontier(_panels(compared), frontier)
    return compared


def texts_per_s(checkpoint: Checkpoint, texts: Sequence[str]) -> float:
    """Texts per second of processor time that the engine reads on one core, each from an empty state.

    The fastest of NUM_PASSES passes counts. Each has a new engine, since an engine caches the tokens of words that it
    has seen.
    """
    seconds = []
    for _ in range(NUM_PASSES):
        engine = InferenceEngine(checkpoint)
        engine.warm_up()
        started = time.process_time()
        for start in range(0, len(texts), TEXTS_PER_CALL):
            engine.score([Request(stream, text) for stream, text in enumerate(texts[start : start + TEXTS_PER_CALL])])
        seconds.append(time.process_time() - started)
    return len(texts) / min(seconds)


def _panels(compared: Sequence[Compared]) -> dict[str, list[Speed]]:
    """Title -> the speed and figure of each checkpoint, by its own name, or by the caller's if two share one."""
    num_named = Counter(each.evaluation.name for each in compared)
    panels: dict[str, list[Speed]] = {}
    for title, corpus, mode, figure in (
        ("IMDB, reset: accuracy", "imdb", RESET, "accuracy"),
        ("IMDB, carried: accuracy", "imdb", CARRIED, "accuracy"),
        ("SST-2: accuracy", "sst2_dev", RESET, "accuracy"),
        ("SemEval: macro recall", "semeval_dev", RESET, "macro_recall"),
        ("airlines: macro recall", "airlines", RESET, "macro_recall"),
        ("topics, two classes, carried: macro recall", "topics_2point", CARRIED, "macro_recall"),
    ):
        if corpus == "imdb" and not all(each.evaluation.dev_share for each in compared):
            continue  # one of them learnt from all films
        panels[title] = []
        for each in compared:
            assert each.tweets_per_s is not None
            name = each.evaluation.name if num_named[each.evaluation.name] == 1 else each.checkpoint
            panels[title].append(Speed(name, each.tweets_per_s, getattr(each.evaluation.row(corpus, mode), figure)))
    return panels


def _check_splits(loaded: Mapping[str, Checkpoint]) -> None:
    splits = {name: held_out_split(checkpoint.metrics) for name, checkpoint in loaded.items()}
    splits = {name: split for name, split in splits.items() if split[0]}  # others are not measured on films
    if len(set(splits.values())) > 1:
        (first, (dev_share, split_seed)), *_ = splits.items()
        listed = "; ".join(f"{name}: dev_share={share}, split_seed={seed}" for name, (share, seed) in splits.items())
        raise ComparisonError(
            "these checkpoints held different films out of their training, so that each would be measured on films "
            f"that another one learnt from ({listed}). Compare checkpoints of one split, or train the others again as "
            f"{first} was: sentiment train --set dev_share={dev_share} --set split_seed={split_seed}"
        )
