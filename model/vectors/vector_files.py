"""Files of pretrained word vectors: GloVe's text format, word2vec's text and binary formats, each optionally gzipped.

The content decides the format, never the name. This module parses the files itself, row by row, because an error
should name the line and because words of GloVe's largest files contain spaces; gensim answers the queries.
"""

from __future__ import annotations

import gzip
import io
import zlib
from array import array
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.errors import UnknownWordError, VectorFileError
from model.vectors.neighbours import Neighbour
from model.vectors.word2vec import import_gensim

GLOVE_TEXT, WORD2VEC_TEXT, WORD2VEC_BINARY = "GloVe text", "word2vec text", "word2vec binary"
NUMBER_BYTES = 4  # of a number in the binary format, a float32
MAX_SIZE = 10_000  # numbers of a vector; a header that says more is taken for garbage
_CONTROLS = frozenset([*range(9), *range(14, 32)])  # bytes that do not occur in text


class WordVectors:
    """The words of one file and their vectors."""

    def __init__(self, file: Path, kind: str, words: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """`vectors` is (words, size); `words` are distinct. Raises ModelError if gensim is not installed."""
        self.file, self.kind = file, kind
        self._keyed: Any = import_gensim("models").KeyedVectors(vectors.shape[1])
        self._keyed.add_vectors(words, vectors)
        self._keyed.fill_norms()
        np.maximum(self._keyed.norms, np.finfo(np.float32).tiny, out=self._keyed.norms)  # no 0/0: similarity 0

    @property
    def words(self) -> Sequence[str]:
        """All words, in file order."""
        return self._keyed.index_to_key  # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        """Numbers in a vector."""
        return int(self._keyed.vector_size)

    def similar(self, word: str, max_words: int = 10) -> list[Neighbour]:
        """The words whose vectors have the largest cosine with that of `word`, the nearest first.

        Raises UnknownWordError if the file has no vector for `word`.
        """
        return self._most_similar([word], [], max_words)

    def analogy(self, a: str, b: str, c: str, max_words: int = 10) -> list[Neighbour]:
        """The words nearest to a - b + c (king - man + woman), with all vectors normalised; a, b and c are left out.

        Mikolov et al. 2013, "Linguistic Regularities in Continuous Space Word Representations".
        Raises UnknownWordError, which names every word without a vector.
        """
        return self._most_similar([a, c], [b], max_words)

    def missing(self, words: Sequence[str]) -> list[str]:
        """The words without a vector, in their order."""
        return [word for word in words if word not in self._keyed]

    def matrix(self, words: Sequence[str], size: int) -> NDArray[np.float32]:
        """The embedding of a vocabulary, (words, size); the rows of words without a vector are zero.

        Raises VectorFileError unless `size`, that of the network's vectors, is the file's.
        """
        if size != self.size:
            raise VectorFileError(
                f"{self.file}: vectors of {self.size} numbers, and the network's have {size}: choose a file of "
                f"{size}, or make one (sentiment vectors train --size {size}), or give the network {self.size}"
            )
        rows = np.zeros((len(words), size), np.float32)
        known = [row for row, word in enumerate(words) if word in self._keyed]
        if known:
            rows[known] = self._keyed[[words[row] for row in known]]
        return rows

    def _most_similar(self, plus: list[str], minus: list[str], max_words: int) -> list[Neighbour]:
        if unknown := self.missing([*plus, *minus]):
            raise UnknownWordError(
                f"{self.file} has no vector for {', '.join(map(repr, unknown))}: write words as that file does"
            )
        return [Neighbour(*found) for found in self._keyed.most_similar(plus, minus, topn=max_words)]


def load_vectors(file: Path) -> WordVectors:
    """Read a file of word vectors.

    Raises VectorFileError, with the line or the number of the word, for a file that is empty, truncated or in none of
    the formats, and for a row of another size, a malformed or non-finite number, or a repeated word. Raises ModelError
    if gensim is not installed.
    """
    import_gensim("models")  # fails before a large file is read
    try:
        with _open(file) as handle:
            kind, size, rows = _open_rows(file, handle)
            words, vectors = _collect(file, size, rows)
    except (OSError, EOFError, zlib.error) as error:
        raise VectorFileError(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return WordVectors(file, kind, words, vectors)


class _VectorRow(NamedTuple):
    """A word, the bytes of its float32 numbers, and its place in the file, for messages."""

    word: str
    numbers: bytes
    place: str


def _open(file: Path) -> io.BufferedReader:
    with file.open("rb") as handle:
        magic = handle.read(2)
    if magic == b"PK":
        raise VectorFileError(f"{file}: a zip archive; unpack it, and name the file of vectors in it")
    return io.BufferedReader(gzip.open(file) if magic == b"\x1f\x8b" else file.open("rb", buffering=0))


def _open_rows(file: Path, handle: io.BufferedReader) -> tuple[str, int, Iterator[_VectorRow]]:
    """The format, the size of a vector, and an iterator over the rows."""
    first = handle.readline()
    fields = first.split()
    if not first.strip():
        raise VectorFileError(f"{file}: " + ("the first line is empty" if first else "the file is empty"))
    if len(fields) == 2 and all(field.isdigit() for field in fields):
        num_words, size = map(int, fields)
        if not 0 < size <= MAX_SIZE:
            raise VectorFileError(f"{file}, line 1: vectors of {size} numbers; 1 to {MAX_SIZE:,} can be read")
        if _is_text(handle.peek()):
            return WORD2VEC_TEXT, size, _counted(file, num_words, _text_rows(file, handle, size, 2))
        return WORD2VEC_BINARY, size, _counted(file, num_words, _binary_rows(file, handle, size, num_words))
    size = len(fields) - 1
    if size < 2 or not all(map(_is_number, fields[1:])):
        raise VectorFileError(
            f"{file}: not a file of word vectors: its first line is neither a word and its numbers (GloVe) nor the "
            "number of words and the size of a vector (word2vec)"
        )
    return GLOVE_TEXT, size, _text_rows(file, chain([first], handle), size, 1)


def _text_rows(file: Path, lines: Iterator[bytes] | BinaryIO, size: int, first_line: int) -> Iterator[_VectorRow]:
    """Lines of a word and its numbers. A word may contain spaces, so the numbers are counted from the end."""
    for number, line in enumerate(lines, start=first_line):
        place = f"line {number}"
        word, *numbers = line.strip(b" \r\n").rsplit(b" ", size)
        last = word.rsplit(b" ", 1)[1:]
        if len(numbers) != size or (last and _is_number(last[0])):
            num_numbers = len(line.split()[1:])
            raise VectorFileError(f"{file}, {place}: {num_numbers} numbers, but a vector has {size}")
        try:
            yield _VectorRow(word.decode(), array("f", map(float, numbers)).tobytes(), place)
        except ValueError as error:  # a UnicodeDecodeError is one
            raise VectorFileError(f"{file}, {place}: {error}") from error


def _binary_rows(file: Path, handle: BinaryIO, size: int, num_words: int) -> Iterator[_VectorRow]:
    """Rows of a word, a space and the numbers; some writers put a line feed between rows."""
    for number in range(1, num_words + 1):
        word = bytearray()
        while (byte := handle.read(1)) not in (b" ", b""):
            word += byte
        numbers = handle.read(size * NUMBER_BYTES)
        if len(numbers) < size * NUMBER_BYTES:
            raise VectorFileError(f"{file}, word {number}: the file ends here; its header says {num_words:,} words")
        try:
            yield _VectorRow(word.lstrip(b"\n").decode(), numbers, f"word {number}")
        except UnicodeDecodeError as error:
            raise VectorFileError(f"{file}, word {number}: {error}") from error


def _counted(file: Path, num_words: int, rows: Iterator[_VectorRow]) -> Iterator[_VectorRow]:
    """The rows, checked to be as many as the header says."""
    num_rows = 0
    for row in rows:
        num_rows += 1
        yield row
    if num_rows != num_words:
        raise VectorFileError(f"{file}: its header says {num_words:,} words, but there are {num_rows:,}")


def _collect(file: Path, size: int, rows: Iterator[_VectorRow]) -> tuple[list[str], NDArray[np.float32]]:
    places: dict[str, str] = {}
    numbers = bytearray()
    for word, row, place in rows:
        if word in places:
            raise VectorFileError(f"{file}, {place}: {word!r} is also {places[word]}; remove one of them")
        places[word] = place
        numbers += row
    vectors = np.frombuffer(numbers, "<f4").reshape(-1, size)
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        row_of_first = int(np.argmin(finite))
        raise VectorFileError(f"{file}, {list(places.values())[row_of_first]}: a number that is not finite")
    return list(places), vectors


def _is_text(sample: bytes) -> bool:
    """Whether a sample, which may end within a character, is text; float32 numbers soon contain bytes that are not."""
    try:
        sample.decode()
    except UnicodeDecodeError as error:
        if error.start < len(sample) - 3:
            return False
    return _CONTROLS.isdisjoint(sample)


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
