"""Whether the words that a result names are those that it rests on: they are deleted, and so are random ones.

A text's confidence is the probability of the label that the network gives it. Its fall when words are deleted is the
measure of DeYoung et al. 2020, "ERASER: A Benchmark to Evaluate Rationalized NLP Models" (comprehensiveness): words
that explain a decision take more confidence with them than as many words drawn from the same text. Needs no torch.
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
from model.inference.engine import InferenceEngine, Result, Word
from model.text.tokenizer import cut

MAX_REVIEWS = 500  # of those that training held out
SEED = 0  # of the reviews and of the random words


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """How far the confidence of a corpus's texts falls, in the mean, when words are deleted: those named, or random."""

    corpus: str
    num_texts: int  # measured
    num_too_short: int  # not measured: no word is named, or no word is left beside those that are
    confidence: float  # before
    named_fall: float
    random_fall: float
    difference_error: float  # standard error of named_fall - random_fall
    share_named_more: float  # of the texts: the words named take more confidence with them than the random ones
    share_random_more: float  # the other way round; of the rest both take the same

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return asdict(self)


class _Deleted(NamedTuple):
    """A text without the words that were named, and without as many random ones."""

    label: int
    confidence: float
    without_named: str
    without_random: str


def measure_named_words(
    checkpoint: Path | None, data: Path, *, on_row: Callable[[Deletion], None] = lambda row: None
) -> list[Deletion]:
    """Measure a checkpoint (None: the packaged one) on the dev texts of a data folder; `on_row` sees each row early.

    Of the reviews that the checkpoint's own training held out, MAX_REVIEWS are drawn. Raises CheckpointError and
    DataError.
    """
    folder = checkpoint or DEFAULT_CHECKPOINT
    dev_share, split_seed = held_out_split(load_checkpoint(folder).metrics)
    corpora = read_corpora(data, ("semeval_dev", "sst2_dev", "imdb"))
    reviews, _ = split_by_stream(corpora["imdb"], (dev_share,), split_seed)
    corpora["imdb"] = Random(SEED).sample(reviews, min(MAX_REVIEWS, len(reviews)))
    if not reviews:  # the network learnt from all films
        del corpora["imdb"]
    engine = InferenceEngine.load(folder)
    rows = []
    for name, examples in corpora.items():
        rows.append(measure_texts(engine, name, [example.text for example in examples]))
        on_row(rows[-1])
    return rows


def measure_texts(engine: InferenceEngine, corpus: str, texts: Sequence[str], seed: int = SEED) -> Deletion:
    """Read every text, from an empty state, whole and without words. Raises DataError where none can be measured."""
    deleted = list(_deletions(engine, texts, Random(seed)))
    if not deleted:
        raise DataError(f"{corpus}: no text has a word beside those that its result names")
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
    """Of the texts that have more words than are named."""
    for text, result in zip(texts, _read(engine, texts), strict=True):
        chunks = cut(text)
        named = named_chunks(text, chunks, result.words)
        if named and len(chunks) > len(named):
            drawn = set(random.sample(range(len(chunks)), len(named)))
            label = LABELS.index(result.label)
            yield _Deleted(label, result.confidence, _without(chunks, named), _without(chunks, drawn))


def named_chunks(text: str, chunks: Sequence[str], words: Sequence[Word]) -> set[int]:
    """The numbers of the chunks (of the whole text, in order) in which the words stand."""
    ends, at = [], 0
    for chunk in chunks:
        at = text.index(chunk, at) + len(chunk)
        ends.append(at)
    return {bisect_right(ends, word.start) for word in words}


def _without(chunks: Sequence[str], deleted: set[int]) -> str:
    return " ".join(chunk for number, chunk in enumerate(chunks) if number not in deleted)


def _probabilities(engine: InferenceEngine, texts: Sequence[str], deleted: Sequence[_Deleted]) -> NDArray[np.float64]:
    """(texts,) probabilities of the labels that the whole texts had."""
    results = _read(engine, texts)
    return np.array([result.probabilities[text.label] for result, text in zip(results, deleted, strict=True)])


def _read(engine: InferenceEngine, texts: Sequence[str]) -> list[Result]:
    return engine.score([Request(stream=number, text=text) for number, text in enumerate(texts)])
