"""`python -m model.inference.languages.fit --data DIR`: trains the identifier's weights and measures it.

DIR/languages has files LANGUAGE_KIND_train.jsonl.gz and, for some, LANGUAGE_KIND_dev.jsonl.gz; DIR/reviews and
DIR/tweets have English ones. Needs scipy, of the extra `train`; py3langid is measured beside it where it is installed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from model.inference.languages.examples import Source, fragment, read_sources
from model.inference.languages.identifier import LANGUAGES, WEIGHTS
from model.inference.languages.ngrams import NUM_BUCKETS, OTHER, Floats, ngrams_of
from model.inference.languages.report import report

NUM_EPOCHS = 8
STRAY_EPOCHS = 2  # before the strays are learnt by heart
EPOCH_TEXTS = 3000  # of each language; of ENGLISH, as many from each source
BATCH_SIZE = 1024
LEARNING_RATE = 0.04
DECAY = 0.005  # of a weight, per unit of the learning rate (decoupled: Loshchilov and Hutter 2019)
MAX_WEIGHT = 3.0  # so that 127 steps are fine enough
MIN_OWN_SHARE = 0.1  # below which a text is taken not to be in the language of its file

Integers = NDArray[np.int64]


class Regression:
    """Multinomial logistic regression on n-grams and scripts, by Adam (Kingma and Ba 2015)."""

    def __init__(self) -> None:
        self.weights = np.zeros((NUM_BUCKETS + OTHER + 1, len(LANGUAGES)), np.float32)
        self._first, self._second = np.zeros_like(self.weights), np.zeros_like(self.weights)
        self._num_steps = 0

    def shares(self, texts: Sequence[str]) -> Floats:
        """The probability of each language, (texts, languages)."""
        return _softmax(_features(texts) @ self.weights)

    def step(self, features: Any, targets: Integers, rate: float) -> None:
        """One step on a batch. features: sparse, (texts, weights)."""
        errors = _softmax(features @ self.weights)
        errors[np.arange(len(targets)), targets] -= 1
        gradient = features.T @ (errors / np.float32(len(targets)))
        self._num_steps += 1
        self._first += 0.1 * (gradient - self._first)
        self._second += 0.001 * (gradient**2 - self._second)
        mean, square = 1 - 0.9**self._num_steps, 1 - 0.999**self._num_steps
        self.weights -= rate * (self._first / mean / (np.sqrt(self._second / square) + 1e-8) + DECAY * self.weights)
        np.clip(self.weights[:NUM_BUCKETS], -MAX_WEIGHT, MAX_WEIGHT, out=self.weights[:NUM_BUCKETS])

    def tables(self, temperature: float) -> dict[str, NDArray[np.generic]]:
        """The tensors that the identifier reads."""
        ngrams, others = np.split(self.weights / np.float32(temperature), [NUM_BUCKETS])
        step = np.abs(ngrams).max() / 127
        return {
            "ngrams": np.round(ngrams / step).astype(np.int8),
            "step": np.array([step], np.float32),
            "scripts": np.ascontiguousarray(others[:OTHER]),
            "bias": np.ascontiguousarray(others[OTHER]),
        }


def fit(sources: Sequence[Source], seed: int, num_epochs: int) -> Regression:
    """Train on as many texts of each language, half of them whole and half fragments of 2 to 60 characters."""
    random = np.random.default_rng(seed)
    model = Regression()
    num_batches = 0
    for epoch in range(num_epochs):
        texts, targets = _epoch(sources, random)
        features = _features(texts)
        starts = range(0, len(texts), BATCH_SIZE)
        for start in starts:
            rate = LEARNING_RATE * (1 - num_batches / (num_epochs * len(starts)))
            model.step(features[start : start + BATCH_SIZE], targets[start : start + BATCH_SIZE], rate)
            num_batches += 1
        print(f"epoch {epoch + 1} of {num_epochs}", flush=True)
    return model


def _epoch(sources: Sequence[Source], random: np.random.Generator) -> tuple[list[str], Integers]:
    texts: list[str] = []
    targets: list[int] = []
    languages = [source.language for source in sources]
    for source in sources:
        share = 1 if source.language == "en" else languages.count(source.language)
        for number in random.integers(0, len(source.train), EPOCH_TEXTS // share).tolist():
            texts.append(fragment(source.train[number], random) if random.random() < 0.5 else source.train[number])
            targets.append(LANGUAGES.index(source.language))
    order = random.permutation(len(texts))
    return [texts[number] for number in order], np.array(targets)[order]


def without_strays(sources: Sequence[Source], model: Regression) -> list[Source]:
    """The sources without the training texts that are not in their language: a Hindi user's tweet may be in English."""
    kept = []
    for source in sources:
        own = model.shares(source.train)[:, LANGUAGES.index(source.language)]
        train = [text for text, share in zip(source.train, own.tolist(), strict=True) if share >= MIN_OWN_SHARE]
        print(f"{source.name}: {len(source.train) - len(train)} of {len(source.train)} are in another language")
        kept.append(source._replace(train=train))
    return kept


def temperature_of(model: Regression, sources: Sequence[Source], seed: int) -> float:
    """The divisor of the logits by which held texts, whole and their beginnings, are most probable."""
    random = np.random.default_rng(seed)
    logits, targets = [], []
    for source in sources:
        texts = [*source.calibration, *(fragment(text, random) for text in source.calibration)]
        logits.append(_features(texts) @ model.weights)
        targets.append(np.full(len(texts), LANGUAGES.index(source.language)))
    all_logits, all_targets = np.concatenate(logits), np.concatenate(targets)

    def loss(temperature: float) -> float:
        own = _softmax(all_logits / np.float32(temperature))[np.arange(len(all_targets)), all_targets]
        return -float(np.log(np.maximum(own, 1e-9)).mean())

    temperatures: list[float] = np.arange(0.5, 2.01, 0.05).tolist()
    return min(temperatures, key=loss)


def _features(texts: Sequence[str]) -> Any:
    """(texts, buckets + scripts + 1), sparse."""
    from scipy.sparse import csr_matrix, hstack  # noqa: PLC0415 - the extra `train`

    ngrams = ngrams_of(texts)
    counts = np.repeat(ngrams.scales, np.diff(ngrams.starts))
    rows = csr_matrix((counts, ngrams.buckets, ngrams.starts), (len(texts), NUM_BUCKETS))
    ones = np.ones((len(texts), 1), np.float32)
    return hstack([rows, csr_matrix(np.hstack([ngrams.shares, ones]))], format="csr", dtype=np.float32)


def _softmax(logits: Any) -> Floats:
    shares: Floats = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return shares


def main() -> None:
    """Write WEIGHTS again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    sources = read_sources(options.data)
    sources = without_strays(sources, fit(sources, options.seed, STRAY_EPOCHS))
    model = fit(sources, options.seed, NUM_EPOCHS)
    temperature = temperature_of(model, sources, options.seed)
    print(f"temperature {temperature:.2f}")
    save_file(model.tables(temperature), options.out)
    print(report(options.out, sources))


if __name__ == "__main__":
    main()
