"""Accuracy and calibration of a checkpoint on labelled texts, measured with the engine that serves it, without torch.

Every corpus is read with each text from an empty state; corpora with streams are also read with the state carried along
each stream, and with the streams shuffled, as a control. Beside the corpora stand the turns: see `turns.py`.
"""

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
from model.data.languages import read_language_corpora
from model.data.splits import without_same_texts
from model.evaluation.calibration_error import calibration_error, calibration_error_by_chance
from model.evaluation.intervals import Interval, accuracy_interval, macro_f1, macro_f1_interval
from model.evaluation.turns import Turn, measure_turns
from model.inference.batch import Request
from model.inference.devices import Device, Precision
from model.inference.engine import InferenceEngine
from model.inference.state import StreamState

TEXTS_PER_CALL = 512
SHUFFLE_SEED = 0

ENGLISH_TWEETS = "en_tweets"
UMSAB = tuple(f"{language}_tweets" for language in ("ar", "de", "en", "es", "fr", "hi", "it", "pt"))
"""Corpora of the benchmark of Barbieri et al. 2022, "XLM-T: Multilingual Language Models in Twitter"."""

RESET, CARRIED, SHUFFLED = MODES = ("reset", "carried", "shuffled")
"""Every text from an empty state; the state carried along each stream; and the control: streams of the same lengths,
made of randomly permuted texts, on which any gain from carrying a state would be spurious."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Figures of one corpus in one mode. On data with two classes, the network chooses between these two."""

    corpus: str
    mode: str
    num_texts: int
    accuracy: float
    macro_recall: float
    calibration_error: float
    confusion: tuple[tuple[int, ...], ...]  # [true class][predicted class], number of texts
    num_neutral: int  # texts whose likeliest class of all three is neutral
    language: str = "en"
    macro_f1: float | None = None  # None: measured by a version that did not have it
    accuracy_interval: Interval | None = None  # 95%
    macro_f1_interval: Interval | None = None
    calibration_error_by_chance: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A checkpoint's figures, and the split that they were measured on.

    A network that learnt from all films has no row of films; `rehearsal` has its scores from before it learnt from the
    held-out ones.
    """

    name: str
    fingerprint: str
    dev_share: float  # of the films; 0: none was held out
    split_seed: int
    rows: tuple[Row, ...]
    rehearsal: Evaluation | None = None
    turns: tuple[Turn, ...] = ()

    def row(self, corpus: str, mode: str = RESET) -> Row:
        """The row of a corpus and mode. Raises KeyError if it was not measured."""
        for row in self.rows:
            if (row.corpus, row.mode) == (corpus, mode):
                return row
        raise KeyError((corpus, mode))

    @property
    def tweets_macro_f1(self) -> float | None:
        """The mean macro-F1 of the corpora of tweets in UMSAB's eight languages; None if one was not measured."""
        found = [row.macro_f1 for row in self.rows if row.corpus in UMSAB and row.macro_f1 is not None]
        return float(np.mean(found)) if len(found) == len(UMSAB) else None

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return asdict(self)


def evaluate_checkpoint(
    checkpoint: Path | None,
    data_dir: Path,
    *,
    precision: Precision = "float32",
    device: Device = "cpu",
    on_row: Callable[[Row], None] = lambda row: None,
) -> Evaluation:
    """Measure a checkpoint (None: the packaged one) on the dev splits of the corpora in a data directory.

    Films are measured on those that the checkpoint's own training held out; if it held none out, they are left out.
    `on_row` is called with each row as soon as it is measured.

    Raises CheckpointError if the checkpoint cannot be loaded, and DataError if a corpus is missing or cannot be read.
    """
    checkpoint_dir = checkpoint or DEFAULT_CHECKPOINT
    metrics = load_checkpoint(checkpoint_dir).metrics
    dev_share, split_seed = held_out_split(metrics)
    corpora = read_corpora(data_dir, ("imdb", "sst2_dev", "semeval_dev", "airlines", "topics_2point", "topics_5point"))
    corpora["imdb"], _ = split_by_stream(corpora["imdb"], (dev_share,), split_seed)
    if not dev_share:
        del corpora["imdb"]
    _, corpora["airlines"] = split_by_time(corpora["airlines"])
    for name in ("topics_2point", "topics_5point"):
        corpora[name] = [example for example in corpora[name] if example.split == "dev"]
    of_languages = read_language_corpora(data_dir)
    corpora |= {name: corpus.dev for name, corpus in of_languages.items()}
    if ENGLISH_TWEETS in corpora:  # many of them are SemEval's, which the text network learns from
        learnt = read_corpora(data_dir, ("semeval",))["semeval"]
        corpora[ENGLISH_TWEETS] = without_same_texts(corpora[ENGLISH_TWEETS], learnt)
    engine = InferenceEngine.load(checkpoint_dir, precision=precision, device=device)
    rows = []
    for name, examples in corpora.items():
        language = of_languages[name].language if name in of_languages else "en"
        for mode in MODES if any(example.stream for example in examples) else (RESET,):
            rows.append(evaluate_examples(engine, name, examples, mode, language))
            on_row(rows[-1])
    return Evaluation(
        name=engine.name,
        fingerprint=engine.fingerprint,
        dev_share=dev_share,
        split_seed=split_seed,
        rows=tuple(rows),
        rehearsal=_read_evaluation(metrics["rehearsal"]) if metrics.get("rehearsal") else None,
        turns=measure_turns(engine),
    )


def _read_evaluation(values: Mapping[str, Any]) -> Evaluation:
    """The evaluation that `to_dict` made `values` of."""
    rows, turns = map(_read_row, values["rows"]), (Turn(**turn) for turn in values.get("turns", ()))
    return Evaluation(**{**values, "rows": tuple(rows), "rehearsal": None, "turns": tuple(turns)})


def _read_row(values: Mapping[str, Any]) -> Row:
    intervals = {name: tuple(values[name]) for name in ("accuracy_interval", "macro_f1_interval") if values.get(name)}
    return Row(**{**values, **intervals, "confusion": tuple(map(tuple, values["confusion"]))})


def held_out_split(metrics: Mapping[str, Any]) -> tuple[float, int]:
    """The share of the films that a checkpoint's training held out, and the seed of that split, from its metrics."""
    return metrics.get("dev_share", DEV_SHARE), metrics.get("split_seed", SPLIT_SEED)


def evaluate_examples(
    engine: InferenceEngine, corpus: str, examples: Sequence[Example], mode: str = RESET, language: str = "en"
) -> Row:
    """The figures of labelled examples, which the engine reads in order.

    Raises DataError if fewer than two classes occur.
    """
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
        language=language,
        macro_f1=macro_f1(confusion, classes),
        accuracy_interval=accuracy_interval(int(confusion.trace()), len(examples)),
        macro_f1_interval=macro_f1_interval(confusion, classes),
        calibration_error_by_chance=calibration_error_by_chance(probabilities, classes),
    )


def read_probabilities(engine: InferenceEngine, examples: Sequence[Example], mode: str) -> NDArray[np.float64]:
    """Probabilities, (examples, classes), in the order of the examples. `mode` is one of MODES."""
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
    """Counts, (classes, classes), indexed [true][predicted]; only `classes` can be predicted.

    labels: (examples,). probabilities: (examples, classes).
    """
    guesses = np.array(classes)[probabilities[:, classes].argmax(axis=1)]
    confusion = np.zeros((NUM_CLASSES, NUM_CLASSES), np.int_)
    np.add.at(confusion, (labels, guesses), 1)
    return confusion


def macro_recall(confusion: NDArray[np.int_], classes: Sequence[int]) -> float:
    """Mean recall of `classes`: the share of a class's texts that were predicted as it."""
    return float(np.mean([confusion[label, label] / confusion[label].sum() for label in classes]))
