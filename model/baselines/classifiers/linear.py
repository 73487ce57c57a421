"""The baseline that every network has to beat: a linear classifier on words and word pairs.

Its carried state is the simplest possible one, the mean of its own earlier scores on the stream. Wang and Manning
2012, "Baselines and Bigrams", show that such a classifier is hard to beat on long texts.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline

from model.baselines.baseline import Baseline, BaselineConfig, OnProgress
from model.baselines.datasets import generated_phrases
from model.baselines.outcome import Outcome
from model.data.corpora import DEV_SHARE, SPLIT_SEED, Example, read_corpora, split_by_stream, split_by_time

NUM_FOLDS = 5  # over streams: a classifier is overconfident on texts that it was trained on


@dataclass(frozen=True, kw_only=True)
class LinearConfig(BaselineConfig):
    """Hyperparameters of the linear classifier."""

    regularisation: float = 4.0  # scikit-learn's C: the higher, the weaker
    min_texts: int = 2  # number of texts that must contain a word or pair
    num_texts: int = 0  # training texts of each corpus, drawn at random; 0 for all

    zero_allowed = BaselineConfig.zero_allowed | {"num_texts"}

    def corpora(self) -> tuple[str, ...]:
        """Reviews with films as streams, and tweets."""
        return ("imdb", "semeval", "semeval_dev", "airlines")


def run(config: LinearConfig, data_dir: Path | None, run_dir: Path, on_progress: OnProgress) -> Outcome:
    """Train one classifier for each corpus, and measure it as `sentiment evaluate` measures a checkpoint."""
    start_s = time.process_time()
    if data_dir is None:
        on_progress(0.0, "generated phrases")
        corpus = generated_phrases(config.seed)
        classifier = _classifier(config).fit(corpus.train.texts, corpus.train.targets)
        figures = {"accuracy": float(classifier.score(corpus.test.texts, corpus.test.targets))}
        return Outcome(
            figures=figures,
            num_parameters=_num_weights(classifier),
            seconds=time.process_time() - start_s,
            notes=(corpus.note,),
        )

    corpora = read_corpora(data_dir, config.corpora())
    early, late = split_by_time(corpora["airlines"])
    figures, num_weights = {}, 0
    for number, (name, train, test) in enumerate(
        [("semeval_dev", corpora["semeval"], corpora["semeval_dev"]), ("airlines", early, late)]
    ):
        on_progress(number / 4, name)
        classifier = _classifier(config, balanced=True).fit(*_columns(_subsample(train, config)))
        num_weights += _num_weights(classifier)
        texts, labels = _columns(test)
        guesses = classifier.predict(texts)
        recalls = [float((guesses[labels == label] == label).mean()) for label in np.unique(labels)]
        figures[f"{name} macro recall"] = float(np.mean(recalls))
    on_progress(0.5, "imdb")
    test, train = split_by_stream(corpora["imdb"], (DEV_SHARE,), SPLIT_SEED)
    reviews, num_review_weights = _measure_reviews(_subsample(train, config), test, config)
    note = f"imdb: trained on {len(train):,} reviews, tested on {len(test):,} of other films"
    return Outcome(
        figures={"accuracy": reviews["reset"]} | {f"imdb {mode}": share for mode, share in reviews.items()} | figures,
        num_parameters=num_weights + num_review_weights,
        seconds=time.process_time() - start_s,
        notes=(note, "carried: with the mean of the classifier's own scores of the film's earlier reviews"),
    )


def _measure_reviews(
    train: Sequence[Example], test: Sequence[Example], config: LinearConfig
) -> tuple[dict[str, float], int]:
    """Accuracy by mode (each review alone, with the film's past scores, with films shuffled), and number of weights."""
    texts, labels = _columns(train)
    streams = [example.stream or example.id for example in train]
    classifier = _classifier(config)
    folds = GroupKFold(NUM_FOLDS)
    scores = cross_val_predict(classifier, texts, labels, groups=streams, cv=folds, method="decision_function")
    classifier.fit(texts, labels)
    test_texts, test_labels = _columns(test)
    test_scores = classifier.decision_function(test_texts)
    carried = LogisticRegression().fit(_with_past(scores, streams), labels)
    test_streams = [example.stream or example.id for example in test]
    order = np.random.default_rng(config.seed).permutation(len(test))
    shuffled = [test_streams[i] for i in order]
    return {
        "reset": float(classifier.score(test_texts, test_labels)),
        "carried": float(carried.score(_with_past(test_scores, test_streams), test_labels)),
        "shuffled": float(carried.score(_with_past(test_scores, shuffled), test_labels)),
    }, _num_weights(classifier)


def _with_past(scores: NDArray[np.float64], streams: Sequence[str]) -> NDArray[np.float64]:
    """Features, (texts, 3): a text's score, the mean of its stream's earlier scores, and that mean shrunk towards 0."""
    columns = np.zeros((len(scores), 3))
    sums: dict[str, tuple[float, int]] = {}
    for row, (score, stream) in enumerate(zip(scores, streams, strict=True)):
        total, count = sums.get(stream, (0.0, 0))
        columns[row] = score, total / max(count, 1), total / (count + 3)  # shrunk less, the longer the past
        sums[stream] = total + score, count + 1
    return columns


def _classifier(config: LinearConfig, *, balanced: bool = False) -> Pipeline:
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=config.min_texts, sublinear_tf=True, dtype=np.float32)
    weight = "balanced" if balanced else None
    return make_pipeline(words, LogisticRegression(C=config.regularisation, class_weight=weight, max_iter=200))


def _num_weights(classifier: Pipeline) -> int:
    regression = classifier[-1]
    return int(regression.coef_.size + regression.intercept_.size)


def _subsample(examples: list[Example], config: LinearConfig) -> list[Example]:
    if not 0 < config.num_texts < len(examples):
        return examples
    rows = np.random.default_rng(config.seed).permutation(len(examples))[: config.num_texts]
    return [examples[row] for row in np.sort(rows)]


def _columns(examples: Sequence[Example]) -> tuple[list[str], NDArray[np.intp]]:
    return [example.text for example in examples], np.array([example.label for example in examples], np.intp)


BASELINES: tuple[Baseline[Any], ...] = (
    Baseline(
        name="tfidf-linear",
        description="Logistic regression on words and word pairs, with a running mean as its state",
        metric="accuracy",
        published=None,
        source="Wang and Manning 2012, Baselines and Bigrams",
        config=LinearConfig(),
        quick={"num_texts": 400},
        run=run,
    ),
)
