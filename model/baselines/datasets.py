"""Texts of two classes for the small classifiers: corpora of a data directory, or generated phrases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from model.config import LABELS
from model.data.corpora import (
    DEV_SHARE,
    NEGATIVE,
    NEUTRAL,
    POSITIVE,
    SPLIT_SEED,
    Example,
    read_corpora,
    split_by_stream,
)
from model.data.phrases import make_phrases
from model.errors import DataError

NUM_PHRASES, TEST_SHARE = 1200, 0.25


class Labelled(NamedTuple):
    """Texts and their classes."""

    texts: list[str]
    targets: NDArray[np.int64]  # (texts,), 0 negative and 1 positive

    @classmethod
    def of(cls, examples: Sequence[Example], corpus: str) -> Self:
        """The texts and classes of `examples`; `corpus` names them in errors.

        Raises DataError unless every example is negative or positive, and both occur.
        """
        labels = {example.label for example in examples}
        if None in labels:
            raise DataError(f"{corpus}: texts without a label; each needs one, negative or positive")
        if labels != {NEGATIVE, POSITIVE}:
            named = ", ".join(LABELS[label] for label in sorted(label for label in labels if label is not None))
            raise DataError(f"{corpus}: needs negative and positive texts, and no others; there are {named or 'none'}")
        texts = [example.text for example in examples]
        return cls(texts, np.array([example.label == POSITIVE for example in examples], np.int64))


class Corpus(NamedTuple):
    """Training and test texts, with no stream (film, account) in both, and a note on them for readers of figures."""

    train: Labelled
    test: Labelled
    note: str

    def subsample(self, num_texts: int, seed: int) -> Corpus:
        """The corpus with `num_texts` random training texts; with all of them for 0 or where there are fewer."""
        if not 0 < num_texts < len(self.train.texts):
            return self
        rows = np.sort(np.random.default_rng(seed).permutation(len(self.train.texts))[:num_texts])
        train = Labelled([self.train.texts[row] for row in rows], self.train.targets[rows])
        return self._replace(train=train, note=f"{self.note}; of the training texts, {num_texts:,} at random")


def split_corpus(examples: Sequence[Example], corpus: str, test_streams: str) -> Corpus:
    """Hold out the streams that evaluation holds out. test_streams: their description in the note ("of other films").

    Raises DataError unless both splits have negative and positive texts, and no others.
    """
    test, train = split_by_stream(examples, (DEV_SHARE,), SPLIT_SEED)
    note = f"trained on {len(train):,} texts, tested on {len(test):,} {test_streams}"
    return Corpus(Labelled.of(train, f"{corpus}, training texts"), Labelled.of(test, f"{corpus}, test texts"), note)


def read_reviews(data_dir: Path) -> Corpus:
    """The IMDB reviews of a data directory, with a fifth of the films for the test. Raises DataError."""
    return split_corpus(read_corpora(data_dir, ("imdb",))["imdb"], "imdb", "of other films")


def read_tweets(data_dir: Path) -> Corpus:
    """The SemEval tweets of a data directory without the neutral ones. Raises DataError."""
    corpora = read_corpora(data_dir, ("semeval", "semeval_dev"))
    train, test = (without_neutral(corpora[name]) for name in ("semeval", "semeval_dev"))
    note = f"SemEval's tweets without the neutral ones: trained on {len(train):,}, tested on {len(test):,}"
    return Corpus(Labelled.of(train, "semeval"), Labelled.of(test, "semeval_dev"), note)


def generated_phrases(seed: int) -> Corpus:
    """Phrases of the grammar, for trials and tests without data."""
    phrases = [phrase for phrase in make_phrases(seed, NUM_PHRASES) if phrase.label != LABELS[NEUTRAL]]
    labelled = [Example(str(i), phrase.text, LABELS.index(phrase.label)) for i, phrase in enumerate(phrases)]
    bound = round(TEST_SHARE * len(labelled))
    train, test = Labelled.of(labelled[bound:], "phrases"), Labelled.of(labelled[:bound], "phrases")
    return Corpus(train, test, f"on generated phrases, not on published data: {len(train.texts)} and {len(test.texts)}")


def without_neutral(examples: Sequence[Example]) -> list[Example]:
    """The examples that are not neutral, in order."""
    return [example for example in examples if example.label != NEUTRAL]
