"""The vocabulary and the word vectors that a network starts from, both made from the training texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from gensim.models import Word2Vec
from gensim.models.callbacks import CallbackAny2Vec
from numpy.typing import NDArray

from model.config import ModelConfig
from model.tokenizer import Tokenizer, build_vocabulary, cut, split_chunk

VECTOR_STD = 0.35  # of all entries: the scale at which the LSTM's gates start to work


def count_words(texts: Iterable[str]) -> Counter[str]:
    """How often each token occurs."""
    chunks: Counter[str] = Counter()
    for text in texts:
        chunks.update(cut(text))
    words: Counter[str] = Counter()
    for chunk, count in chunks.items():
        for word in split_chunk(chunk):
            words[word] += count
    return words


def make_tokenizer(texts: Iterable[str], max_words: int, num_buckets: int) -> tuple[list[str], Tokenizer]:
    """The vocabulary of `texts`, at most `max_words`, and a tokenizer for it."""
    words = build_vocabulary(count_words(texts), max_words)
    return words, Tokenizer(words, num_buckets)


def train_word_vectors(
    texts: Sequence[NDArray[np.int32]],
    config: ModelConfig,
    *,
    num_epochs: int,
    seed: int,
    on_epoch: Callable[[int], None] = lambda epoch: None,
) -> NDArray[np.float32]:
    """(rows, embedding) vectors for the ids in `texts` by continuous bag of words with negative sampling.

    Mikolov et al. 2013, "Distributed Representations of Words and Phrases and their Compositionality", as in gensim:
    window 5, 8 negatives. Buckets get vectors as words do; rows that never occur stay random. The entries have mean
    square VECTOR_STD^2. One thread, so that a seed gives the same vectors again.
    """
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((config.num_rows, config.embedding_size)).astype(np.float32)
    if num_epochs:
        model = Word2Vec(
            _Sentences(texts, config.num_rows),
            vector_size=config.embedding_size,
            window=5,
            negative=8,
            min_count=1,
            epochs=num_epochs,
            seed=seed,
            workers=1,
            callbacks=[_Epochs(on_epoch)],
        )
        trained = [int(row) for row in model.wv.index_to_key]
        vectors[trained] = model.wv.vectors / model.wv.vectors.std()
    return vectors * np.float32(VECTOR_STD)


class _Sentences:
    """Texts of ids as gensim reads them: lists of strings, again in every epoch."""

    def __init__(self, texts: Sequence[NDArray[np.int32]], num_rows: int) -> None:
        self._texts = texts
        self._names = [str(row) for row in range(num_rows)]

    def __iter__(self) -> Iterator[list[str]]:
        return ([self._names[row] for row in text] for text in self._texts)


class _Epochs(CallbackAny2Vec):  # type: ignore[misc]
    def __init__(self, on_epoch: Callable[[int], None]) -> None:
        self._on_epoch = on_epoch
        self._num_done = 0

    def on_epoch_end(self, model: Word2Vec) -> None:
        """gensim calls this."""
        self._num_done += 1
        self._on_epoch(self._num_done)
