"""How well a checkpoint reads labelled texts, measured on the engine that serves it. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.checkpoint import DEFAULT_CHECKPOINT, load_checkpoint
from model.config import NUM_CLASSES
from model.data.corpora import (
    DEV_SHARE,
    NEUTRAL,
    SPLIT_SEED,
    Example,
    classes_of,
    read_corpora,
    split_by_stream,
    split_by_time,
)
from model.inference.batch import Request
from model.inference.devices import Device, Precision
from model.inference.engine import InferenceEngine
from model.inference.state import StreamState

TEXTS_PER_CALL = 512
NUM_BINS = 15  # of the calibration error
SHUFFLE_SEED = 0

RESET, CARRIED, SHUFFLED = MODES = ("reset", "carried", "shuffled")
"""Every text from an empty state; streams as they are; and the control: streams of the same lengths, but of texts
that were dealt out at random, where whatever a state seems to help is an illusion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Figures of one corpus read in one mode. On data with two classes the network chooses between these two."""

    corpus: str
    mode: str
    num_texts: int
    accuracy: float
    macro_recall: float
    calibration_error: float
    confusion: tuple[tuple[int, ...], ...]  # [true class][class read], number of texts
    num_neutral: int  # texts that the network, free to choose, calls neutral


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A checkpoint's rows, and the split that they were measured on.

    A network that learnt from all films has no row of films. Its rehearsal is told instead: what it scored before it
    went on with those that had been held out.
    """

    name: str
    fingerprint: str
    dev_share: float  # of the films; 0: none was held out
    split_seed: int
    rows: tuple[Row, ...]
    rehearsal: Evaluation | None = None

    def row(self, corpus: str, mode: str = RESET) -> Row:
        """The row of a corpus and mode; KeyError where it was not measured."""
        for row in self.rows:
            if (row.corpus, row.mode) == (corpus, mode):
                return row
        raise KeyError((corpus, mode))

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return asdict(self)


def evaluate_checkpoint(
    checkpoint: Path | None,
    data: Path,
    *,
    precision: Precision = "float32",
    device: Device = "cpu",
    on_row: Callable[[Row], None] = lambda row: None,
) -> Evaluation:
    """Measure a checkpoint (None: the packaged one) on the dev parts of a data folder; `on_row` sees each row early.

    The films held out are those that the checkpoint's own training held out; where it held none out, films are not
    measured. Raises CheckpointError and DataError.
    """
    folder = checkpoint or DEFAULT_CHECKPOINT
    metrics = load_checkpoint(folder).metrics
    dev_share, split_seed = held_out_split(metrics)
    corpora = read_corpora(data, ("imdb", "sst2_dev", "semeval_dev", "airlines", "topics_2point", "topics_5point"))
    corpora["imdb"], _ = split_by_stream(corpora["imdb"], (dev_share,), split_seed)
    if not dev_share:
        del corpora["imdb"]
    _, corpora["airlines"] = split_by_time(corpora["airlines"])
    for name in ("topics_2point", "topics_5point"):
        corpora[name] = [example for example in corpora[name] if example.split == "dev"]
    engine = InferenceEngine.load(folder, precision=precision, device=device)
    rows = []
    for name, examples in corpora.items():
        for mode in MODES if any(example.stream for example in examples) else (RESET,):
            rows.append(evaluate_examples(engine, name, examples, mode))
            on_row(rows[-1])
    return Evaluation(
        name=engine.name,
        fingerprint=engine.fingerprint,
        dev_share=dev_share,
        split_seed=split_seed,
        rows=tuple(rows),
        rehearsal=_read_evaluation(metrics["rehearsal"]) if metrics.get("rehearsal") else None,
    )


def _read_evaluation(values: Mapping[str, Any]) -> Evaluation:
    """An evaluation from what `to_dict` made of it."""
    rows = (Row(**row | {"confusion": tuple(map(tuple, row["confusion"]))}) for row in values["rows"])
    return Evaluation(**{**values, "rows": tuple(rows), "rehearsal": None})


def held_out_split(metrics: Mapping[str, Any]) -> tuple[float, int]:
    """Share of the films, and the seed of the split, that a checkpoint's metrics say its training held out."""
    return metrics.get("dev_share", DEV_SHARE), metrics.get("split_seed", SPLIT_SEED)


def evaluate_examples(engine: InferenceEngine, corpus: str, examples: Sequence[Example], mode: str = RESET) -> Row:
    """Read labelled examples in their order, and compare. Raises DataError where there are less than two classes."""
    classes = classes_of(examples, corpus)
    labels = np.array([example.label for example in examples])
    probabilities = read_probabilities(engine, examples, mode)
    confusion = confusion_matrix(labels, probabilities, classes)
    return Row(
        corpus=corpus,
        mode=mode,
        num_texts=len(examples),
        accuracy=float(confusion.trace() / confusion.sum()),
        macro_recall=macro_recall(confusion, classes),
        calibration_error=calibration_error(labels, probabilities, classes),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        num_neutral=int((probabilities.argmax(axis=1) == NEUTRAL).sum()),
    )


def read_probabilities(engine: InferenceEngine, examples: Sequence[Example], mode: str) -> NDArray[np.float64]:
    """(examples, classes) probabilities, in the order of the examples."""
    streams: list[Hashable] = [
        (example.stream, index * (example.stream is None)) for index, example in enumerate(examples)
    ]
    if mode == RESET:
        streams = list(range(len(examples)))
    elif mode == SHUFFLED:
        order = np.random.default_rng(SHUFFLE_SEED).permutation(len(streams))
        streams = [streams[index] for index in order]
    states: dict[Hashable, StreamState] = {}
    probabilities = np.empty((len(examples), NUM_CLASSES))
    for start in range(0, len(examples), TEXTS_PER_CALL):
        chunk = slice(start, start + TEXTS_PER_CALL)
        named = list(zip(streams[chunk], examples[chunk], strict=True))
        requests = [Request(stream=stream, text=example.text, state=states.get(stream)) for stream, example in named]
        results = engine.score(requests)
        probabilities[chunk] = [result.probabilities for result in results]
        states |= {stream: result.state for (stream, _), result in zip(named, results, strict=True)}
    return probabilities


def confusion_matrix(
    labels: NDArray[np.int_], probabilities: NDArray[np.float64], classes: Sequence[int]
) -> NDArray[np.int_]:
    """(classes, classes) counts, [true][read], where only `classes` can be read."""
    guesses = np.array(classes)[probabilities[:, classes].argmax(axis=1)]
    confusion = np.zeros((NUM_CLASSES, NUM_CLASSES), np.int_)
    np.add.at(confusion, (labels, guesses), 1)
    return confusion


def macro_recall(confusion: NDArray[np.int_], classes: Sequence[int]) -> float:
    """Mean over `classes` of the share of a class's texts that were read as it."""
    return float(np.mean([confusion[label, label] / confusion[label].sum() for label in classes]))


def calibration_error(labels: NDArray[np.int_], probabilities: NDArray[np.float64], classes: Sequence[int]) -> float:
    """Expected calibration error: mean distance between confidence and accuracy over NUM_BINS bins of confidence.

    Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", with equal widths.
    """
    chosen = probabilities[:, classes] / probabilities[:, classes].sum(axis=1, keepdims=True)
    confidence = chosen.max(axis=1)
    right = np.array(classes)[chosen.argmax(axis=1)] == labels
    bins = np.minimum((confidence * NUM_BINS).astype(int), NUM_BINS - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=NUM_BINS)
    return float(np.abs(gaps).sum() / len(labels))
