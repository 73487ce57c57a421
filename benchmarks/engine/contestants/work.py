"""What the contestants read: a network with random weights, and texts as token ids.

A seed fixes all of it. Lengths are those of tweets: nearly normal around 20 tokens with a deviation of 8, so that the
longest of 256 has some 42. Ids are drawn by Zipf's law: the id of a word is its rank.
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
    """Texts as ids, one after the other."""

    lengths: IntArray  # (texts,)
    ids: IntArray  # (tokens,)

    @property
    def starts(self) -> IntArray:
        """(texts,): index of the first token of each."""
        return starts_of(self.lengths)

    @property
    def num_tokens(self) -> int:
        """Of all texts."""
        return len(self.ids)

    @property
    def mean_tokens(self) -> float:
        """Of a text."""
        return self.num_tokens / len(self.lengths)

    def batches(self, num_texts: int) -> Iterator[slice]:
        """Which texts form each batch, in the order in which they came."""
        for begin in range(0, len(self.lengths), num_texts):
            yield slice(begin, begin + num_texts)

    def take(self, texts: slice) -> RaggedTexts:
        """Some of them."""
        starts, lengths = self.starts[texts], self.lengths[texts]
        return RaggedTexts(lengths, self.ids[starts[0] : starts[-1] + lengths[-1]])

    def reordered(self, order: IntArray) -> RaggedTexts:
        """The same in another order."""
        starts, lengths = self.starts[order].tolist(), self.lengths[order]
        each = [self.ids[start : start + length] for start, length in zip(starts, lengths.tolist(), strict=True)]
        return RaggedTexts(lengths, np.concatenate(each))

    def padded(self, texts: IntArray) -> IntArray:
        """(time, texts), zero behind the end of each: the ids of these texts."""
        steps = np.arange(self.lengths[texts].max())[:, None]
        at = np.minimum(self.starts[texts] + steps, self.num_tokens - 1)
        return np.where(steps < self.lengths[texts], self.ids[at], 0)


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """What all do."""

    config: ModelConfig
    weights: Weights
    texts: RaggedTexts
    batch: int  # texts

    def sorted_batches(self, num_texts: int) -> list[IntArray]:
        """Each batch from its shortest to its longest text, cut into groups of `num_texts`, which are padded little."""
        lengths = self.texts.lengths
        return [
            batch.start + group
            for batch in self.texts.batches(self.batch)
            for group in split(np.argsort(lengths[batch], kind="stable"), num_texts)
        ]

    def sorted_ahead(self, num_texts: int) -> list[IntArray]:
        """All texts from the shortest to the longest, in groups of `num_texts`."""
        return split(np.argsort(self.texts.lengths, kind="stable"), num_texts)


def split(texts: IntArray, num_texts: int) -> list[IntArray]:
    """In groups of `num_texts`, the last one perhaps smaller."""
    return [texts[begin : begin + num_texts] for begin in range(0, len(texts), num_texts)]


def random_weights(config: ModelConfig) -> Weights:
    """Drawn as torch does it: embeddings normal, everything else uniform in one over the root of the cells.

    And rounded to half precision, as a checkpoint stores them.
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
    """Texts with the lengths of tweets."""
    random = np.random.default_rng(SEED)
    drawn = random.normal(MEAN_TOKENS, DEVIATION_TOKENS, num_texts)
    return texts_of(np.clip(np.rint(drawn), 1, MAX_TOKENS).astype(np.intp), vocabulary)


def texts_of(lengths: IntArray, vocabulary: int = VOCABULARY) -> RaggedTexts:
    """Texts with these lengths."""
    random = np.random.default_rng(SEED + 1)
    shares = 1 / np.arange(1, vocabulary + 1)
    ids = random.choice(vocabulary, lengths.sum(), p=shares / shares.sum())
    return RaggedTexts(lengths, ids.astype(np.intp))


def exact_hidden(weights: Weights, texts: RaggedTexts) -> FloatArray:
    """(texts, H): the last hidden state of each text, in double precision and step by step: what all must give."""
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
