"""Negative and positive film reviews: by an LSTM over frozen word vectors, and by two layers of RNN, LSTM or GRU.

The data is the IMDB reviews of Maas et al. 2011, "Learning Word Vectors for Sentiment Analysis".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from model.baselines.baseline import Baseline, OnProgress
from model.baselines.classifiers.classifier import Dataset, PaddedTexts, keep_vocabulary, train_classifier
from model.baselines.classifiers.classifier_network import ClassifierConfig, TextClassifier
from model.baselines.classifiers.embedding import NO_PRETRAINED, embed, word_vectors
from model.baselines.classifiers.vocabulary import Words, encode, most_frequent, words_of
from model.baselines.datasets import Corpus, generated_phrases, read_reviews
from model.baselines.outcome import Outcome

QUICK = {"num_texts": 400, "epochs": 1, "text_words": 20, "batch_texts": 24}


@dataclass(frozen=True, kw_only=True)
class ReviewConfig(ClassifierConfig):
    """Hyperparameters of the classifiers of reviews that learn their own embedding."""

    def corpora(self) -> tuple[str, ...]:
        """The IMDB reviews."""
        return ("imdb",)


@dataclass(frozen=True, kw_only=True)
class FrozenVectorsConfig(ReviewConfig):
    """Hyperparameters of the classifier with a frozen embedding of pretrained vectors."""

    vectors: str = ""  # file of word vectors; if empty, word2vec vectors trained on the training texts


def run_recurrent(config: ReviewConfig, data_dir: Path | None, run_dir: Path, on_progress: OnProgress) -> Outcome:
    """Train one of `imdb-rnn`, `imdb-lstm`, `imdb-gru`."""
    corpus = _read(config, data_dir)
    train = [words_of(text) for text in corpus.train.texts]
    vocabulary = most_frequent(train, config.num_words)
    keep_vocabulary(run_dir, vocabulary)
    torch.manual_seed(config.seed)
    network = TextClassifier(config, len(vocabulary))
    outcome = train_classifier(network, _rows(corpus, train, vocabulary, config), config, run_dir, on_progress)
    return replace(outcome, notes=(corpus.note,))


def run_frozen(config: FrozenVectorsConfig, data_dir: Path | None, run_dir: Path, on_progress: OnProgress) -> Outcome:
    """Train `imdb-frozen-vectors`; the vocabulary is that of the vectors."""
    corpus = _read(config, data_dir)
    train = [words_of(text) for text in corpus.train.texts]
    on_progress(0.0, "word vectors")
    vectors = word_vectors(config.vectors, config.embedding_size, train, run_dir, config.seed)
    embedding = embed(vectors, vectors.words, config.embedding_size)
    keep_vocabulary(run_dir, vectors.words)
    torch.manual_seed(config.seed)
    network = TextClassifier(config, len(vectors.words), embedding.rows, frozen=True)
    outcome = train_classifier(network, _rows(corpus, train, vectors.words, config), config, run_dir, on_progress)
    in_texts = list({word for text in train for word in text})
    num_missing = len(vectors.missing(in_texts))
    notes = [
        corpus.note,
        f"{vectors.file.name} ({vectors.kind}): {len(vectors.words):,} words, {vectors.size} numbers each; "
        f"{num_missing:,} of the {len(in_texts):,} words of the training texts have no vector",
    ]
    if not config.vectors:
        notes.append(NO_PRETRAINED)
    return replace(outcome, notes=tuple(notes))


def _read(config: ReviewConfig, data_dir: Path | None) -> Corpus:
    corpus = read_reviews(data_dir) if data_dir else generated_phrases(config.seed)
    return corpus.subsample(config.num_texts, config.seed)


def _rows(corpus: Corpus, train: Sequence[Words], vocabulary: Words, config: ReviewConfig) -> Dataset:
    """The training and test texts as padded ids."""
    test = (words_of(text) for text in corpus.test.texts)
    ids = (encode(texts, vocabulary, config.text_words, config.zeros) for texts in (train, test))
    return Dataset(PaddedTexts(next(ids), corpus.train.targets), PaddedTexts(next(ids), corpus.test.targets))


def _recurrent(cell: str, source: str, published: float | None = None) -> Baseline[ReviewConfig]:
    return Baseline(
        name=f"imdb-{cell}",
        description=f"reviews by two layers of 64 cells ({cell}), 10,000 words, 80 of a review",
        metric="test accuracy",
        published=published,
        source=source,
        config=ReviewConfig(cell=cell),
        quick=QUICK,
        run=run_recurrent,
    )


FROZEN = Baseline(
    name="imdb-frozen-vectors",
    description="reviews by frozen pretrained 50-d vectors and an LSTM of 64 cells, 250 words of a review",
    metric="test accuracy",
    published=None,
    source="Pennington et al. 2014, GloVe (the vectors)",
    config=FrozenVectorsConfig(
        cell="lstm",
        text_words=250,
        zeros="end",
        embedding_size=50,
        num_layers=1,
        dropout=0.25,
        batch_texts=24,
        epochs=30,  # learning starts late: the state has to carry a text across up to 200 padding steps
    ),
    quick=QUICK,
    run=run_frozen,
)
BASELINES: tuple[Baseline[Any], ...] = (
    FROZEN,
    _recurrent("rnn", "SimpleRNN on the reviews of Maas et al. 2011, another split", published=0.7902),
    _recurrent("lstm", "Hochreiter and Schmidhuber 1997, Long Short-Term Memory"),
    _recurrent("gru", "Cho et al. 2014, Learning Phrase Representations using RNN Encoder-Decoder"),
)
