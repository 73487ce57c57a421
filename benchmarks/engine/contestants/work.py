"""The work of the contestants: a network with random weights, and texts as token ids, all fixed by a seed.

Texts have the lengths of tweets: nearly normal with mean 20 and standard deviation 8, so that the longest of 256 has
about 42 tokens. Ids follow Zipf's law, and a word's id is its rank.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from model.cells import Lstm
from model.checkpoint import Weights
from model.config import ModelConfig
from model.inference.schedule import IntArray, starts_of
from model.inference.state import DoubleArray, FloatArray

SEED = 20
VOCABULARY = 30_000
MEAN_TOKENS, DEVIATION_TOKENS, MAX_TOKENS = 20, 8, 60  # of a tweet


@dataclass(frozen=True, slots=True, eq=False)
class RaggedTexts:
    """Texts as ids, concatenated."""

    lengths: IntArray  # (texts,)
    ids: IntArray  # (tokens,)

    @property
    def starts(self) -> IntArray:
        """Index of the first token of each text, (texts,)."""
        return starts_of(self.lengths)

    @property
    def num_tokens(self) -> int:
        """Number of tokens of all texts."""
        return len(self.ids)

    @property
    def mean_tokens(self) -> float:
        """Mean number of tokens of a text."""
        return self.num_tokens / len(self.lengths)

    def batches(self, num_texts: int) -> Iterator[slice]:
        """The texts of each batch of `num_texts`, in order."""
        for begin in range(0, len(self.lengths), num_texts):
            yield slice(begin, begin + num_texts)

    def take(self, texts: slice) -> RaggedTexts:
        """A slice of the texts."""
        starts, lengths = self.starts[texts], self.lengths[texts]
        return RaggedTexts(lengths, self.ids[starts[0] : starts[-1] + lengths[-1]])

    def reordered(self, order: IntArray) -> RaggedTexts:
        """The texts in another order; `order` has the index of each."""
        starts, lengths = self.starts[order].tolist(), self.lengths[order]
        each = [self.ids[start : start + length] for start, length in zip(starts, lengths.tolist(), strict=True)]
        return RaggedTexts(lengths, np.concatenate(each))

    def padded(self, texts: IntArray) -> IntArray:
        """The ids of the texts with these indices, (time, texts), zero after the end of each."""
        steps = np.arange(self.lengths[texts].max())[:, None]
        at = np.minimum(self.starts[texts] + steps, self.num_tokens - 1)
        return np.where(steps < self.lengths[texts], self.ids[at], 0)


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """The work of all contestants: texts to be read by a network in batches."""

    config: ModelConfig
    weights: Weights
    texts: RaggedTexts
    batch: int  # texts in a batch

    def sorted_batches(self, num_texts: int) -> list[IntArray]:
        """Groups of `num_texts` indices within each batch, sorted by length, so that they need little padding."""
        lengths = self.texts.lengths
        return [
            batch.start + group
            for batch in self.texts.batches(self.batch)
            for group in split(np.argsort(lengths[batch], kind="stable"), num_texts)
        ]

    def sorted_ahead(self, num_texts: int) -> list[IntArray]:
        """Groups of `num_texts` indices, sorted by length over all batches."""
        return split(np.argsort(self.texts.lengths, kind="stable"), num_texts)


def split(texts: IntArray, num_texts: int) -> list[IntArray]:
    """Groups of `num_texts`, of which the last may be smaller."""
    return [texts[begin : begin + num_texts] for begin in range(0, len(texts), num_texts)]


def random_weights(config: ModelConfig) -> Weights:
    """Weights with torch's initial distributions, rounded to half precision as in a checkpoint.

    Embeddings are normal; all others are uniform within +-1 / sqrt(cells).
    """
    random = np.random.default_rng(SEED)
    bound = config.hidden_size**-0.5
    weights = {
        name: random.uniform(-bound, bound, shape).astype(np.float32) for name, shape in config.tensor_shapes().items()
    }
    embedding = "word.embedding.weight"
    weights[embedding] = random.standard_normal(weights[embedding].shape, np.float32)
    weights["calibration.log_temperature"] = np.zeros(2, np.float32)
    return {name: array.astype(np.float16).astype(np.float32) for name, array in weights.items()}


def random_tweets(num_texts: int, vocabulary: int = VOCABULARY) -> RaggedTexts:
    """Random texts with the lengths of tweets."""
    random = np.random.default_rng(SEED)
    drawn = random.normal(MEAN_TOKENS, DEVIATION_TOKENS, num_texts)
    return texts_of(np.clip(np.rint(drawn), 1, MAX_TOKENS).astype(np.intp), vocabulary)


def texts_of(lengths: IntArray, vocabulary: int = VOCABULARY) -> RaggedTexts:
    """Random texts with the given lengths."""
    random = np.random.default_rng(SEED + 1)
    shares = 1 / np.arange(1, vocabulary + 1)
    ids = random.choice(vocabulary, lengths.sum(), p=shares / shares.sum())
    return RaggedTexts(lengths, ids.astype(np.intp))


def exact_hidden(weights: Weights, texts: RaggedTexts) -> FloatArray:
    """The last hidden state of each text, (texts, H), step by step in double precision: the reference for all."""
    inputs, recurrence = (weights[f"word.lstm.weight_{name}"].T.astype(np.float64) for name in ("ih", "hh"))
    states = np.zeros((2, len(texts.lengths), len(recurrence)))
    for step in range(int(texts.lengths.max())):
        rows = np.flatnonzero(texts.lengths > step)
        ids = texts.ids[texts.starts[rows] + step]
        embedded: DoubleArray = weights["word.embedding.weight"][ids].astype(np.float64)
        from_input = embedded @ inputs + weights["word.lstm.bias"]
        states[:, rows], _ = Lstm().step(from_input, states[0, rows] @ recurrence, states[:, rows])
    hidden: FloatArray = states[0].astype(np.float32)
    return hidden
