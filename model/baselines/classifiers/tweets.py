"""Negative and positive tweets, by a simple RNN over pretrained word vectors.

The original's data is Sentiment140 (`sentiment140.py`); SemEval's negative and positive tweets replace it where its
file is not given.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from model.baselines.baseline import Baseline, OnProgress
from model.baselines.classifiers.classifier import Dataset, PaddedTexts, keep_vocabulary, train_classifier
from model.baselines.classifiers.classifier_network import ClassifierConfig, TextClassifier
from model.baselines.classifiers.embedding import NO_PRETRAINED, embed, word_vectors
from model.baselines.classifiers.sentiment140 import read_sentiment140
from model.baselines.classifiers.vocabulary import encode, lemmas, most_frequent, without_stop_words, words_of
from model.baselines.datasets import Corpus, generated_phrases, read_tweets, split_corpus, without_neutral
from model.baselines.outcome import Outcome


@dataclass(frozen=True, kw_only=True)
class TweetConfig(ClassifierConfig):
    """Hyperparameters of the classifier of tweets."""

    sentiment140: str = ""  # CSV file of Sentiment140; if empty, SemEval's tweets from the data directory
    vectors: str = ""  # file of word vectors; if empty, word2vec vectors trained on the training texts
    frozen: bool = False  # whether the embedding is not trained
    no_stop_words: bool = False
    lemmas: bool = False

    def corpora(self) -> tuple[str, ...]:
        """SemEval's corpora, unless a file of Sentiment140 replaces them."""
        return () if self.sentiment140 else ("semeval", "semeval_dev")


def run(config: TweetConfig, data_dir: Path | None, run_dir: Path, on_progress: OnProgress) -> Outcome:
    """Train `tweets-simple-rnn`."""
    corpus = _read(config, data_dir)
    train, test = (_words(texts, config) for texts in (corpus.train.texts, corpus.test.texts))
    vocabulary = most_frequent(train, config.num_words)
    on_progress(0.0, "word vectors")
    vectors = word_vectors(config.vectors, config.embedding_size, train, run_dir, config.seed)
    embedding = embed(vectors, vocabulary, config.embedding_size)
    keep_vocabulary(run_dir, vocabulary)
    torch.manual_seed(config.seed)
    network = TextClassifier(config, len(vocabulary), embedding.rows, frozen=config.frozen)
    ids = [encode(texts, vocabulary, config.text_words, config.zeros) for texts in (train, test)]
    rows = Dataset(PaddedTexts(ids[0], corpus.train.targets), PaddedTexts(ids[1], corpus.test.targets))
    outcome = train_classifier(network, rows, config, run_dir, on_progress)
    notes = [corpus.note, embedding.note]
    if not config.vectors:
        notes.append(NO_PRETRAINED)
    figures = {**outcome.figures, "null rows": float(embedding.num_null)}
    return replace(outcome, figures=figures, notes=tuple(notes))


def _read(config: TweetConfig, data_dir: Path | None) -> Corpus:
    if config.sentiment140:
        tweets = without_neutral(read_sentiment140(Path(config.sentiment140)))
        corpus = split_corpus(tweets, "Sentiment140", "of other users")
    else:
        corpus = read_tweets(data_dir) if data_dir else generated_phrases(config.seed)
    return corpus.subsample(config.num_texts, config.seed)


def _words(texts: list[str], config: TweetConfig) -> list[list[str]]:
    found = [words_of(text) for text in texts]
    if config.no_stop_words:
        found = without_stop_words(found)
    return lemmas(found) if config.lemmas else found


BASELINES = (
    Baseline(
        name="tweets-simple-rnn",
        description="tweets by a simple RNN of 100 cells over 200-d vectors, 16,000 words, 15 of a tweet",
        metric="test accuracy",
        published=None,
        source="Go, Bhayani and Huang 2009, Sentiment140 (the tweets)",
        config=TweetConfig(
            cell="rnn", num_words=16_000, text_words=15, embedding_size=200, hidden_size=100, num_layers=1, dropout=0.2
        ),
        quick={"num_texts": 400, "epochs": 1, "embedding_size": 20, "batch_texts": 24},
        run=run,
    ),
)
