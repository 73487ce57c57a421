"""The embedding of a small classifier from word vectors: those of a file or, as a stand-in, of its own texts."""

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

STAND_IN_EPOCHS = 5
MIN_COUNT = 2  # of a word in the training texts; rarer ones get no vector


class Embedding(NamedTuple):
    """The rows of an embedding, and what a reader must know of them."""

    rows: NDArray[np.float32]  # (special ids + words, size); the special ones are null
    num_null: int  # words without a vector, whose rows are null
    note: str


def word_vectors(file: str, size: int, texts: Sequence[Words], folder: Path, seed: int) -> WordVectors:
    """Vectors from a file or, where none is named, of word2vec trained on `texts` and kept in the run folder.

    Raises VectorFileError for a file that cannot be read, DataError for texts too few to train on, and ModelError
    without gensim.
    """
    if file:
        return load_vectors(Path(file))
    made = folder / "vectors.bin"
    if not made.exists():
        models = import_gensim("models")
        try:
            model = models.Word2Vec(
                [list(text) for text in texts],
                vector_size=size,
                min_count=MIN_COUNT,
                epochs=STAND_IN_EPOCHS,
                seed=seed,
                workers=1,
            )
        except RuntimeError as error:  # no word is left
            raise DataError(f"too few texts to train word vectors on ({error}); name a file of vectors") from error
        new = made.with_name(".vectors.bin.new")
        model.wv.save_word2vec_format(str(new), binary=True)
        new.replace(made)
    return load_vectors(made)


def embed(vectors: WordVectors, vocabulary: Words, size: int) -> Embedding:
    """The embedding of a vocabulary: a null row for padding, for unknown words, and for each word without a vector.

    Raises VectorFileError where the vectors have another size.
    """
    num_null = len(vectors.missing(vocabulary))
    rows = np.zeros((NUM_SPECIAL + len(vocabulary), size), np.float32)
    rows[NUM_SPECIAL:] = vectors.matrix(vocabulary, size)
    note = (
        f"{vectors.file.name} ({vectors.kind}) has {len(vectors.words):,} words, {size} numbers each; "
        f"{num_null:,} of the {len(vocabulary):,} words of the vocabulary have none: null rows"
    )
    return Embedding(rows, num_null, note)
