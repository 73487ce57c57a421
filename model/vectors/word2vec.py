"""Training of word vectors, together with their vocabulary. Needs gensim, which is imported on first use."""

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
from model.text.chunks import BY_CHARACTER
from model.text.normalise import split_chunk
from model.text.tokenizer import Tokenizer, build_vocabulary

VECTOR_STD = 0.35  # of all entries: large enough for the LSTM's gates to respond
NUM_BUCKETS = 2048  # for words outside the vocabulary, so that they keep their places in the context windows


def train_vectors(  # noqa: PLR0913 - all but two have defaults
    source: Path,
    file: Path,
    *,
    size: int = 128,
    max_words: int = 24_000,
    num_epochs: int = 4,
    seed: int = 1,
    on_epoch: Callable[[int], None] = lambda epoch: None,
) -> int:
    """Train word vectors of `size` numbers, write them to `file`, and return their number.

    `source` is a data directory, whose corpora are read without the films held out for evaluation, or a file of texts
    (see `read_texts`). Texts are split into words as for the network. `file` gets word2vec's text format: a line with
    the number of words and the size of a vector, then one line for each word and its vector, in vocabulary order.

    Raises DataError for texts that cannot be read, and ModelError if `file` exists or cannot be written, or gensim is
    not installed; nothing is trained before these checks, except that the disk may still turn out to be full.
    """
    import_gensim("models")
    if file.exists():
        raise ModelError(f"{file}: exists, and is not overwritten; remove it or choose another name")
    if not file.parent.is_dir():
        raise ModelError(f"{file.parent}: there is no such directory to write to")
    texts = _corpus_texts(source) if source.is_dir() else read_texts(source)
    words, tokenizer = make_tokenizer(texts, max_words, NUM_BUCKETS)
    sizes = ModelConfig(num_words=len(words), num_buckets=NUM_BUCKETS, embedding_size=size)
    ids = [np.array(tokenizer.encode(text), np.int32) for text in texts]
    if not any(len(text) for text in ids):
        raise DataError(f"{source}: no words in its texts")
    vectors = train_word_vectors(ids, sizes, num_epochs=num_epochs, seed=seed, on_epoch=on_epoch)
    occurs = np.bincount(np.concatenate(ids), minlength=sizes.num_rows) > 0  # a special token may be absent
    return _write_vectors(file, [(word, vectors[row]) for row, word in enumerate(words) if occurs[row]])


def read_texts(file: Path) -> list[str]:
    """The texts of a file: the rows of `.jsonl`, `.json` and `.csv`, otherwise its lines; each optionally with `.gz`.

    Raises DataError if the file has no texts or cannot be read.
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


def _corpus_texts(data_dir: Path) -> list[str]:
    corpora = read_corpora(data_dir, ("imdb", "imdb_unlabelled", "sst2", "semeval"))
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
    """Token -> number of its occurrences."""
    chunks: Counter[str] = Counter()
    for text in texts:
        chunks.update(BY_CHARACTER.cut(text))
    words: Counter[str] = Counter()
    for chunk, count in chunks.items():
        for word in split_chunk(chunk):
            words[word] += count
    return words


def make_tokenizer(texts: Iterable[str], max_words: int, num_buckets: int) -> tuple[list[str], Tokenizer]:
    """The vocabulary of `texts`, at most `max_words` words, and its tokenizer."""
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
    """Train vectors, (rows, embedding), for the ids in `texts`: continuous bag of words with negative sampling.

    Mikolov et al. 2013, "Distributed Representations of Words and Phrases and their Compositionality", in gensim's
    implementation, with window 5 and 8 negative samples. Buckets get vectors as words do; rows that never occur stay
    random. All entries have standard deviation VECTOR_STD. One thread, so that a seed fixes the vectors.
    Raises ModelError if gensim is not installed.
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
    """Texts of ids as gensim takes them: lists of strings, iterated once in every epoch."""

    def __init__(self, texts: Sequence[NDArray[np.int32]], num_rows: int) -> None:
        self._texts = texts
        self._names = [str(row) for row in range(num_rows)]

    def __iter__(self) -> Iterator[list[str]]:
        return ([self._names[row] for row in text] for text in self._texts)


def import_gensim(module: str) -> Any:
    """The module `gensim.<module>`. Raises ModelError, which says what to install."""
    try:
        return import_module(f"gensim.{module}")
    except ModuleNotFoundError as error:
        raise ModelError(f"word vectors need gensim ({error}): pip install '.[train]'") from error
