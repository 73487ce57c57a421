"""Files of word vectors: all three formats give the same vectors, and an error names its place in the file."""

from __future__ import annotations

import gzip
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from gensim.models import keyedvectors
from hypothesis import given
from hypothesis import strategies as st

from model import ModelError, UnknownWordError, VectorFileError, load_vectors

PLANE = {"king": (3, 1, 0), "queen": (3, -1, 0), "man": (1, 1, 0), "woman": (1, -1, 0), "nothing": (0, 0, 0)}
GLOVE, WORD2VEC, BINARY = "GloVe text", "word2vec text", "word2vec binary"


def _text(rows: dict[str, Sequence[float]], end: str = "\n") -> bytes:
    return "".join(f"{word} {' '.join(map(str, numbers))}{end}" for word, numbers in rows.items()).encode()


def _binary(rows: dict[str, Sequence[float]], end: bytes = b"") -> bytes:
    return b"".join(word.encode() + b" " + struct.pack(f"<{len(row)}f", *row) + end for word, row in rows.items())


def _head(rows: dict[str, Sequence[float]]) -> bytes:
    return f"{len(rows)} {len(next(iter(rows.values())))}\n".encode()


def _save(directory: Path, content: bytes) -> Path:
    (directory / "vectors").write_bytes(content)
    return directory / "vectors"


@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (GLOVE, _text(PLANE)),
        (GLOVE, _text(PLANE, "\r\n")),
        (GLOVE, _text(PLANE).rstrip()),
        (WORD2VEC, _head(PLANE) + _text(PLANE)),
        (WORD2VEC, _head(PLANE) + _text(PLANE, " \n")),
        (BINARY, _head(PLANE) + _binary(PLANE)),
        (BINARY, _head(PLANE) + _binary(PLANE, b"\n")),
    ],
)
def test_every_format_is_recognised_by_its_content_and_gives_the_same_words_and_vectors(
    kind: str, content: bytes, is_packed: bool, tmp_path: Path
) -> None:
    vectors = load_vectors(_save(tmp_path, gzip.compress(content) if is_packed else content))
    assert (vectors.kind, list(vectors.words), vectors.size) == (kind, list(PLANE), 3)
    assert np.array_equal(vectors.matrix(list(PLANE), 3), np.array(list(PLANE.values()), np.float32))


def test_numbers_whose_bytes_are_all_ascii_are_still_not_taken_for_text(tmp_path: Path) -> None:
    rows = {"a": (2, 0, 0.5), "b": (0.5, 0.5, 0.5)}
    content = _head(rows) + _binary(rows)
    assert content.isascii()
    assert load_vectors(_save(tmp_path, content)).kind == BINARY


WORD_CHARS = st.characters(exclude_categories=["Cc", "Cs", "Z"])


@given(words=st.lists(st.text(WORD_CHARS, min_size=1, max_size=6), min_size=1, max_size=8, unique=True))
@pytest.mark.parametrize("is_binary", [False, True])
def test_what_gensim_writes_is_read_back_to_the_last_bit(
    is_binary: bool, words: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("gensim") / "vectors"
    numbers = np.random.default_rng(len(words)).standard_normal((len(words), 12)).astype(np.float32)
    written = keyedvectors.KeyedVectors(12)
    written.add_vectors(words, numbers)
    written.save_word2vec_format(str(file), binary=is_binary, sort_attr="none")
    vectors = load_vectors(file)
    assert (vectors.kind, list(vectors.words)) == (BINARY if is_binary else WORD2VEC, words)
    assert np.array_equal(vectors.matrix(words, 12), numbers)


def test_words_may_contain_spaces_as_some_of_glove_do(tmp_path: Path) -> None:
    vectors = load_vectors(_save(tmp_path, b"the 1 2 3\n. . . 4 5 6\nat name@domain.com 7 8 9\n\xc2\xa0 1 1 1\n"))
    assert list(vectors.words) == ["the", ". . .", "at name@domain.com", "\u00a0"]
    assert vectors.matrix([". . ."], 3).tolist() == [[4, 5, 6]]


def test_similar_words_are_ordered_by_cosine_and_nothing_is_near_a_zero_vector(tmp_path: Path) -> None:
    vectors = load_vectors(_save(tmp_path, _text(PLANE)))
    found = vectors.similar("king")
    assert [word for word, _ in found] == ["man", "queen", "woman", "nothing"]
    assert [cosine for _, cosine in found] == pytest.approx([4 / np.sqrt(20), 0.8, 2 / np.sqrt(20), 0], abs=1e-6)
    assert [cosine for _, cosine in vectors.similar("nothing", 2)] == [0, 0]


def test_king_less_man_plus_woman_is_queen_and_not_bishop(tmp_path: Path) -> None:
    vectors = load_vectors(_save(tmp_path, _text({**PLANE, "bishop": (3, 3, 0)})))
    found = vectors.analogy("king", "man", "woman")
    assert [word for word, _ in found] == ["queen", "nothing", "bishop"]
    king, man, woman = (np.array(PLANE[word]) / np.linalg.norm(PLANE[word]) for word in ("king", "man", "woman"))
    target = king - man + woman
    cosine = target @ PLANE["queen"] / np.linalg.norm(target) / np.linalg.norm(PLANE["queen"])
    assert found[0].similarity == pytest.approx(cosine, abs=1e-6)


def test_words_without_a_vector_are_listed_and_their_rows_are_zero(tmp_path: Path) -> None:
    vectors = load_vectors(_save(tmp_path, _text(PLANE)))
    vocabulary = ["xyzzy", "queen", "King"]
    assert vectors.missing(vocabulary) == ["xyzzy", "King"]
    assert vectors.matrix(vocabulary, 3).tolist() == [[0, 0, 0], [3, -1, 0], [0, 0, 0]]
    assert vectors.matrix(["xyzzy"], 3).tolist() == [[0, 0, 0]]
    with pytest.raises(UnknownWordError, match="has no vector for 'King': write words as that file does"):
        vectors.similar("King")
    with pytest.raises(UnknownWordError, match="has no vector for 'xyzzy', 'King'"):
        vectors.analogy("king", "King", "xyzzy")


def test_vectors_of_another_size_than_the_networks_are_refused_with_what_to_do(tmp_path: Path) -> None:
    vectors = load_vectors(_save(tmp_path, _text(PLANE)))
    with pytest.raises(VectorFileError, match=r"vectors of 3 numbers, and the network's have 50: .* train --size 50"):
        vectors.matrix(["king"], 50)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "vectors: the file is empty"),
        (b"\n", "vectors: the first line is empty"),
        (gzip.compress(b"", mtime=0), "vectors: the file is empty"),
        (b"great flight, thanks\n", "not a file of word vectors"),
        (b"the 5337\nof 12\n", "not a file of word vectors"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not a file of word vectors"),
        (b'{"text": "good"}\n', "not a file of word vectors"),
        (b"PK\x03\x04", "a zip archive; unpack it"),
        (b"a 1 2\nb 1 2\nc 1\n", "vectors, line 3: 1 numbers, but a vector has 2"),
        (b"a 1 2\nb 1 2 3\n", "vectors, line 2: 3 numbers, but a vector has 2"),
        (b"a 1 2\n\nb 1 2\n", "vectors, line 2: 0 numbers, but a vector has 2"),
        (b"2 3\na 1 2\nb 1 2\n", "vectors, line 2: 2 numbers, but a vector has 3"),
        (b"a 1 2\nb 1 x\n", "vectors, line 2: could not convert string to float: b'x'"),
        (b"a 1 2\n\xff 1 2\n", "vectors, line 2: 'utf-8' codec"),
        (b"a 1 2\nb nan 2\n", "vectors, line 2: a number that is not finite"),
        (b"a 1 2\nb 1 2\na 3 4\n", "vectors, line 3: 'a' is also line 1; remove one"),
        (b"3 2\na 1 2\nb 1 2\n", "its header says 3 words, but there are 2"),
        (b"1 2\na 1 2\nb 1 2\n", "its header says 1 words, but there are 2"),
        (b"1 0\na\n", "line 1: vectors of 0 numbers"),
        (b"1 99999999999\na\n", "line 1: vectors of 99999999999 numbers"),
        (b"2 2\n" + _binary({"a": (1, 2), "b": (1, 2)})[:-1], "word 2: the file ends here; its header says 2 words"),
        (b"2 2\n" + _binary({"a": (1, 2)}) + _binary({"a": (1, 2)}), "word 2: 'a' is also word 1"),
        (b"1 2\n\xff \x00\x00\x00\x00\x00\x00\x00\x00", "word 1: 'utf-8' codec"),
        (b"1 2\n" + _binary({"a": (1, np.inf)}), "word 1: a number that is not finite"),
        (gzip.compress(_text(PLANE), mtime=0)[:-12], "cannot be read: "),
        (gzip.compress(_text(PLANE) * 9, mtime=0)[:30] + b"\xff" * 30, "cannot be read: "),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_the_place_and_the_reason(
    content: bytes, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(VectorFileError) as caught:
        load_vectors(_save(tmp_path, content))
    assert problem in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(VectorFileError, match=r"cannot be read: (No such file|Is a directory)"):
            load_vectors(path)


def test_without_gensim_a_file_is_not_even_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    with pytest.raises(ModelError, match=r"pip install '\.\[train\]'"):
        load_vectors(tmp_path / "absent")
