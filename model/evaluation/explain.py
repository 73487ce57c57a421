"""Faithfulness of the words that a result names: how far confidence falls without them, and without random words.

A text's confidence is the probability of the label that the network gives it. Its fall when words are deleted is the
comprehensiveness of DeYoung et al. 2020, "ERASER: A Benchmark to Evaluate Rationalized NLP Models": words that explain
a decision cost more confidence than equally many random words of the same text. Needs no torch.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.checkpoint import DEFAULT_CHECKPOINT, load_checkpoint
from model.config import LABELS
from model.data.corpora import read_corpora, split_by_stream
from model.errors import DataError
from model.evaluation.evaluate import held_out_split
from model.inference.batch import Request
from model.inference.engine import InferenceEngine, Result
from model.inference.words import Word

MAX_REVIEWS = 500  # drawn from those that training held out
SEED = 0  # of the drawn reviews and the random words


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """The mean fall of confidence over a corpus's texts when words are deleted: the named ones, or random ones."""

    corpus: str
    num_texts: int  # measured
    num_too_short: int  # not measured: no word is named, or no other word is left
    confidence: float  # of the whole texts
    named_fall: float
    random_fall: float
    difference_error: float  # standard error of named_fall - random_fall
    share_named_more: float  # of the texts: confidence falls further without the named words
    share_random_more: float  # of the texts: confidence falls further without the random words

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return asdict(self)


class _Deleted(NamedTuple):
    """A text without the named words, and without equally many random ones."""

    label: int
    confidence: float
    without_named: str
    without_random: str


def measure_named_words(
    checkpoint: Path | None, data_dir: Path, *, on_row: Callable[[Deletion], None] = lambda row: None
) -> list[Deletion]:
    """Measure a checkpoint (None: the packaged one) on the dev texts of a data directory.

    Reviews are at most MAX_REVIEWS of those that the checkpoint's own training held out. `on_row` is called with each
    row as soon as it is measured.

    Raises CheckpointError if the checkpoint cannot be loaded, and DataError if a corpus is missing, cannot be read or
    has no text that can be measured.
    """
    checkpoint_dir = checkpoint or DEFAULT_CHECKPOINT
    dev_share, split_seed = held_out_split(load_checkpoint(checkpoint_dir).metrics)
    corpora = read_corpora(data_dir, ("semeval_dev", "sst2_dev", "imdb"))
    reviews, _ = split_by_stream(corpora["imdb"], (dev_share,), split_seed)
    corpora["imdb"] = Random(SEED).sample(reviews, min(MAX_REVIEWS, len(reviews)))
    if not reviews:  # training held no films out
        del corpora["imdb"]
    engine = InferenceEngine.load(checkpoint_dir)
    rows = []
    for name, examples in corpora.items():
        rows.append(measure_texts(engine, name, [example.text for example in examples]))
        on_row(rows[-1])
    return rows


def measure_texts(engine: InferenceEngine, corpus: str, texts: Sequence[str], seed: int = SEED) -> Deletion:
    """Read each text from an empty state: whole, without its named words and without random ones.

    Raises DataError if no text can be measured.
    """
    deleted = list(_deletions(engine, texts, Random(seed)))
    if not deleted:
        raise DataError(f"{corpus}: no text has a word besides those that its result names")
    confidence = np.array([text.confidence for text in deleted])
    without_named = _probabilities(engine, [text.without_named for text in deleted], deleted)
    without_random = _probabilities(engine, [text.without_random for text in deleted], deleted)
    difference = without_random - without_named
    return Deletion(
        corpus=corpus,
        num_texts=len(deleted),
        num_too_short=len(texts) - len(deleted),
        confidence=float(confidence.mean()),
        named_fall=float((confidence - without_named).mean()),
        random_fall=float((confidence - without_random).mean()),
        difference_error=float(difference.std() / np.sqrt(len(deleted))),
        share_named_more=float((difference > 0).mean()),
        share_random_more=float((difference < 0).mean()),
    )


def _deletions(engine: InferenceEngine, texts: Sequence[str], random: Random) -> Iterator[_Deleted]:
    """Every text with named words and at least one other, without either."""
    for text, result in zip(texts, _read(engine, texts), strict=True):
        chunks = engine.cut(text)
        named = named_chunks(text, chunks, result.words)
        if named and len(chunks) > len(named):
            drawn = set(random.sample(range(len(chunks)), len(named)))
            label = LABELS.index(result.label)
            yield _Deleted(label, result.confidence, _without(chunks, named), _without(chunks, drawn))


def named_chunks(text: str, chunks: Sequence[str], words: Sequence[Word]) -> set[int]:
    """Indices of the chunks (those of the whole text, in order) that contain the words."""
    ends, at = [], 0
    for chunk in chunks:
        at = text.index(chunk, at) + len(chunk)
        ends.append(at)
    return {bisect_right(ends, word.start) for word in words}


def _without(chunks: Sequence[str], deleted: set[int]) -> str:
    return " ".join(chunk for number, chunk in enumerate(chunks) if number not in deleted)


def _probabilities(engine: InferenceEngine, texts: Sequence[str], deleted: Sequence[_Deleted]) -> NDArray[np.float64]:
    """Probabilities, (texts,), of the labels that the whole texts got."""
    results = _read(engine, texts)
    return np.array([result.probabilities[text.label] for result, text in zip(results, deleted, strict=True)])


def _read(engine: InferenceEngine, texts: Sequence[str]) -> list[Result]:
    return engine.score([Request(stream=number, text=text) for number, text in enumerate(texts)])
