"""Embeddings of the small classifiers, from a file of word vectors or from vectors trained on the training texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.baselines.classifiers.vocabulary import NUM_SPECIAL, Words
from model.errors import DataError
from model.vectors.vector_files import WordVectors, load_vectors
from model.vectors.word2vec import import_gensim

WORD2VEC_EPOCHS = 5
MIN_COUNT = 2  # of a word in the training texts; rarer words get no vector
NO_PRETRAINED = "word2vec vectors of the training texts replace pretrained ones"


class Embedding(NamedTuple):
    """The rows of an embedding, and a note on them for readers of figures."""

    rows: NDArray[np.float32]  # (special ids + words, size); rows of special ids are zero
    num_null: int  # words without a vector, whose rows are zero
    note: str


def word_vectors(file: str, size: int, texts: Sequence[Words], run_dir: Path, seed: int) -> WordVectors:
    """Vectors from `file` or, if it is empty, from word2vec trained on `texts`, which `run_dir` then stores.

    Raises VectorFileError for a file that cannot be read, DataError for too few training texts, and ModelError if
    gensim is not installed.
    """
    if file:
        return load_vectors(Path(file))
    made = run_dir / "vectors.bin"
    if not made.exists():
        models = import_gensim("models")
        try:
            model = models.Word2Vec(
                [list(text) for text in texts],
                vector_size=size,
                min_count=MIN_COUNT,
                epochs=WORD2VEC_EPOCHS,
                seed=seed,
                workers=1,
            )
        except RuntimeError as error:  # gensim's, when no word has MIN_COUNT
            raise DataError(f"too few texts to train word vectors on ({error}); name a file of vectors") from error
        new = made.with_name(".vectors.bin.new")
        model.wv.save_word2vec_format(str(new), binary=True)
        new.replace(made)
    return load_vectors(made)


def embed(vectors: WordVectors, vocabulary: Words, size: int) -> Embedding:
    """The embedding of a vocabulary, with a zero row for padding, unknown words and each word without a vector.

    Raises VectorFileError unless the vectors have `size` numbers.
    """
    num_null = len(vectors.missing(vocabulary))
    rows = np.zeros((NUM_SPECIAL + len(vocabulary), size), np.float32)
    rows[NUM_SPECIAL:] = vectors.matrix(vocabulary, size)
    note = (
        f"{vectors.file.name} ({vectors.kind}) has {len(vectors.words):,} words, {size} numbers each; "
        f"{num_null:,} of the {len(vocabulary):,} words of the vocabulary have none: null rows"
    )
    return Embedding(rows, num_null, note)
