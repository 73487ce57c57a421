"""Training texts as arrays, and their order in training: batches of texts, sequences of streams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from model.config import NUM_CLASSES
from model.data.corpora import Example, classes_of
from model.errors import DataError
from model.text.tokenizer import Tokenizer

Ids = NDArray[np.int32]
Indices = NDArray[np.intp]

ABSENT = -50.0  # log share of a class that a corpus lacks: finite, so that zero times it is zero
LENGTH_JITTER = 0.1  # relative: a batch holds texts of about one length, but other ones in every epoch


@dataclass(frozen=True, slots=True)
class EncodedTexts:
    """Encoded texts of one or more corpora."""

    ids: list[Ids]  # each of at least one token
    targets: NDArray[np.float32]  # (texts, classes) probabilities; a label is 1 for its class
    log_prior: NDArray[np.float32]  # (texts, classes) log of the class shares in the corpus of the text
    streams: list[str]  # "" for no stream

    @classmethod
    def of_corpus(cls, corpus: str, ids: list[Ids], targets: NDArray[np.float32], streams: list[str]) -> Self:
        """Texts of one corpus, without the empty ones. Raises DataError if none is left."""
        kept = [row for row, text in enumerate(ids) if len(text)]
        if not kept:
            raise DataError(f"{corpus}: there is no text with a word in it to train on")
        log_shares = np.log(np.maximum(targets[kept].mean(axis=0), np.exp(ABSENT))).astype(np.float32)
        return cls(
            ids=[ids[row] for row in kept],
            targets=targets[kept],
            log_prior=np.tile(log_shares, (len(kept), 1)),
            streams=[streams[row] for row in kept],
        )

    def __len__(self) -> int:
        return len(self.ids)

    def __add__(self, other: EncodedTexts) -> EncodedTexts:
        return EncodedTexts(
            self.ids + other.ids,
            np.concatenate([self.targets, other.targets]),
            np.concatenate([self.log_prior, other.log_prior]),
            self.streams + other.streams,
        )


def encode(texts: Sequence[str], tokenizer: Tokenizer, max_tokens: int | None = None) -> list[Ids]:
    """The ids of each text; a longer text keeps its last `max_tokens`."""
    return [np.array(tokenizer.encode(text)[-(max_tokens or 0) :], np.int32) for text in texts]


def encode_labelled(
    corpus: str, examples: Sequence[Example], tokenizer: Tokenizer, max_tokens: int | None = None
) -> EncodedTexts:
    """A corpus whose examples are all labelled. Raises DataError if it has fewer than two classes."""
    classes_of(examples, corpus)
    targets = np.eye(NUM_CLASSES, dtype=np.float32)[np.array([example.label for example in examples])]
    ids = encode([example.text for example in examples], tokenizer, max_tokens)
    return EncodedTexts.of_corpus(corpus, ids, targets, [example.stream or "" for example in examples])


def pad(ids: Sequence[NDArray[np.signedinteger[Any]]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(batch, time) ids, zero after the end of each text, and (batch,) lengths."""
    lengths = np.array([len(text) for text in ids], np.int64)
    padded = np.zeros((len(ids), lengths.max()), np.int64)
    padded[np.arange(padded.shape[1]) < lengths[:, None]] = np.concatenate(ids)
    return padded, lengths


def cut_batches(order: Indices, texts: EncodedTexts, max_tokens: int, max_texts: int) -> Iterator[Indices]:
    """`order` cut into batches of at most `max_texts` and, once padded, `max_tokens`; a single text always fits."""
    start, longest = 0, 0
    for end, index in enumerate(order):
        longest = max(longest, len(texts.ids[index]))
        num_texts = end + 1 - start
        if end > start and (num_texts > max_texts or num_texts * longest > max_tokens):
            yield order[start:end]
            start, longest = end, len(texts.ids[index])
    yield order[start:]


def epoch_batches(
    rows: Indices, texts: EncodedTexts, max_tokens: int, max_texts: int, rng: np.random.Generator
) -> list[Indices]:
    """The batches of one epoch over `rows`, in random order; a batch holds texts of similar length."""
    lengths = np.array([len(texts.ids[row]) for row in rows])
    order = rows[np.argsort(lengths * rng.uniform(1 - LENGTH_JITTER, 1 + LENGTH_JITTER, len(lengths)))]
    cut = list(cut_batches(order, texts, max_tokens, max_texts))
    return [cut[i] for i in rng.permutation(len(cut))]


def stream_sequences(
    streams: Sequence[str], reset_chance: float, shuffled_share: float, rng: np.random.Generator
) -> list[Indices]:
    """The sequences of one epoch: each stream's texts in random order, cut before a text with `reset_chance`.

    A `shuffled_share` of the sequences exchange their texts at random, so that these sequences are no streams, and the
    cell learns not to mistake them for one.
    """
    members: dict[str, list[int]] = {}
    for index, stream in enumerate(streams):
        members.setdefault(stream, []).append(index)
    sequences: list[Indices] = []
    for indices in members.values():
        cuts = np.flatnonzero(rng.random(len(indices) - 1) < reset_chance) + 1
        sequences += np.split(rng.permutation(indices), cuts)
    chosen = np.flatnonzero(rng.random(len(sequences)) < shuffled_share)
    if len(chosen):
        shuffled = rng.permutation(np.concatenate([sequences[i] for i in chosen]))
        ends = np.cumsum([len(sequences[i]) for i in chosen])[:-1]
        for i, sequence in zip(chosen, np.split(shuffled, ends), strict=True):
            sequences[i] = sequence
    return sequences
