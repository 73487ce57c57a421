"""Word vectors, made with the vocabulary from texts. Needs gensim, which is imported when it is first used."""

from __future__ import annotations

import gzip
import itertools
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.config import ModelConfig
from model.data.corpora import DEV_SHARE, SPLIT_SEED, read_corpora, read_examples, split_by_stream
from model.errors import DataError, ModelError
from model.text.normalise import split_chunk
from model.text.tokenizer import Tokenizer, build_vocabulary, cut

VECTOR_STD = 0.35  # of all entries: the scale at which the LSTM's gates start to work
NUM_BUCKETS = 2048  # for words beyond the vocabulary, so that they are not taken out from between their neighbours


def train_vectors(  # noqa: PLR0913 - two are what to do, the others have defaults
    source: Path,
    file: Path,
    *,
    size: int = 128,
    max_words: int = 24_000,
    num_epochs: int = 4,
    seed: int = 1,
    on_epoch: Callable[[int], None] = lambda epoch: None,
) -> int:
    """Train word vectors of `size` numbers, write them to `file`, and return how many there are.

    From the corpora of a data folder, without the films that are held out for evaluation, or from a file of one's own
    (see `read_texts`); texts are cut into words as the network cuts them. The file has word2vec's text format: a line
    with the number of words and the size of a vector, then a word and its vector a line, in the order of the
    vocabulary. Raises DataError for texts that cannot be read, and ModelError where `file` exists or cannot be
    written, or where gensim is missing; all but a full disk before anything is trained.
    """
    import_gensim("models")
    if file.exists():
        raise ModelError(f"{file}: exists, and is not overwritten; remove it or choose another name")
    if not file.parent.is_dir():
        raise ModelError(f"{file.parent}: there is no such folder to write to")
    texts = _corpus_texts(source) if source.is_dir() else read_texts(source)
    words, tokenizer = make_tokenizer(texts, max_words, NUM_BUCKETS)
    sizes = ModelConfig(num_words=len(words), num_buckets=NUM_BUCKETS, embedding_size=size)
    ids = [np.array(tokenizer.encode(text), np.int32) for text in texts]
    if not any(len(text) for text in ids):
        raise DataError(f"{source}: no words in its texts")
    vectors = train_word_vectors(ids, sizes, num_epochs=num_epochs, seed=seed, on_epoch=on_epoch)
    occurs = np.bincount(np.concatenate(ids), minlength=sizes.num_rows) > 0  # a mark such as <url> may not
    return _write_vectors(file, [(word, vectors[row]) for row, word in enumerate(words) if occurs[row]])


def read_texts(file: Path) -> list[str]:
    """The texts of a file: the rows of `.jsonl`, `.json` and `.csv`, else its lines; each also with `.gz`.

    Raises DataError where there is no text, or the file cannot be read.
    """
    is_packed = file.suffix.lower() == ".gz"
    if (file.with_suffix("") if is_packed else file).suffix.lower() in (".jsonl", ".json", ".csv"):
        return [example.text for example in read_examples(file)]
    try:
        with gzip.open(file, "rt", encoding="utf-8") if is_packed else file.open(encoding="utf-8-sig") as lines:
            texts = [line.strip() for line in lines if line.strip()]
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise DataError(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not texts:
        raise DataError(f"{file}: no texts in it")
    return texts


def _corpus_texts(data: Path) -> list[str]:
    corpora = read_corpora(data, ("imdb", "imdb_unlabelled", "sst2", "semeval"))
    for name in ("imdb", "imdb_unlabelled"):
        _, corpora[name] = split_by_stream(corpora[name], (DEV_SHARE,), SPLIT_SEED)
    return [example.text for examples in corpora.values() for example in examples]


def _write_vectors(file: Path, vectors: Sequence[tuple[str, NDArray[np.float32]]]) -> int:
    lines = [f"{len(vectors)} {len(vectors[0][1]) if vectors else 0}"]
    lines += [f"{word} {' '.join(f'{number:.6g}' for number in vector)}" for word, vector in vectors]
    try:
        with file.open("x", encoding="utf-8") as handle:
            handle.write("\n".join(lines) + "\n")
    except OSError as error:
        raise ModelError(f"{file}: {error.strerror}") from error
    return len(vectors)


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
    square VECTOR_STD^2. One thread, so that a seed gives the same vectors again. Raises ModelError without gensim.
    """
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((config.num_rows, config.embedding_size)).astype(np.float32)
    if num_epochs:
        num_done = itertools.count(1)
        callback = import_gensim("models.callbacks").CallbackAny2Vec()
        callback.on_epoch_end = lambda model: on_epoch(next(num_done))
        model = import_gensim("models").Word2Vec(
            _Sentences(texts, config.num_rows),
            vector_size=config.embedding_size,
            window=5,
            negative=8,
            min_count=1,
            epochs=num_epochs,
            seed=seed,
            workers=1,
            callbacks=[callback],
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


def import_gensim(module: str) -> Any:
    """The module `gensim.module`. Raises ModelError that says what to install."""
    try:
        return import_module(f"gensim.{module}")
    except ModuleNotFoundError as error:
        raise ModelError(f"word vectors need gensim ({error}): pip install '.[train]'") from error
