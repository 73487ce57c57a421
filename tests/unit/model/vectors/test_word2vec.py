"""Word vectors: neighbours by cosine, and trained vectors in a file that other programs read."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import DataError, ModelError, UnknownWordError, neighbours, read_texts, train_vectors
from model.checkpoint import load_checkpoint, save_checkpoint
from model.data.corpora import DEV_SHARE, FILES, SPLIT_SEED, read_corpora, split_by_stream
from model.text.normalise import SPECIAL_TOKENS
from tests.unit.model.conftest import CONFIG, WORDS, random_weights

SIZE = 6


def _save(directory: Path, directions: dict[str, tuple[float, float]]) -> Path:
    """Save a checkpoint of random weights whose embedding gives the named words vectors in one plane."""
    weights = random_weights(CONFIG)
    embedding = weights["word.embedding.weight"]
    for word, direction in directions.items():
        embedding[WORDS.index(word)] = np.array([*direction, 0, 0, 0])
    embedding[CONFIG.num_words :] = embedding[WORDS.index("good")]  # buckets are as near as can be
    save_checkpoint(directory, name="plane", config=CONFIG, words=WORDS, weights=weights)
    return directory


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpora that vectors are trained on; every film has a word of its own."""
    directory = tmp_path_factory.mktemp("data")
    texts = ["the film was so good", "a bad flight , a late flight", "love this great great movie"]
    for name in ("imdb", "imdb_unlabelled", "sst2", "semeval"):
        rows = [
            {"text": f"{text} {name.replace('_', '')}{'abcdefghijklmnop'[i]}", "stream": f"film {i}"}
            for i in range(16)
            for text in texts
        ]
        if name != "imdb_unlabelled":
            rows = [row | {"label": ("neg", "pos")[i % 2]} for i, row in enumerate(rows)]
        (directory / FILES[name]).parent.mkdir(exist_ok=True)
        (directory / FILES[name]).write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    return directory


def test_neighbours_are_ordered_by_cosine_whatever_the_lengths_and_exclude_the_word_itself(tmp_path: Path) -> None:
    directory = _save(tmp_path / "c", {"good": (1, 0), "great": (30, 3), "love": (0.1, 0.05), "bad": (-5, 0)})
    near = neighbours(directory, ["good"], 100)["good"]
    assert [word for word, _ in near if word in ("great", "love", "bad")] == ["great", "love", "bad"]
    assert near[-1].word == "bad"
    assert dict(near)["great"] == pytest.approx(30 / np.hypot(30, 3), abs=1e-6)
    assert {word for word, _ in near} == set(WORDS) - {"good"}


@given(word=st.sampled_from(WORDS), other=st.sampled_from(WORDS))
def test_two_words_are_as_near_to_each_other_as_the_cosine_of_their_vectors(
    checkpoint: Path, word: str, other: str
) -> None:
    vectors = load_checkpoint(checkpoint).weights["word.embedding.weight"].astype(np.float64)
    one, two = vectors[WORDS.index(word)], vectors[WORDS.index(other)]
    cosine = one @ two / np.sqrt((one @ one) * (two @ two))
    near = neighbours(checkpoint, [word, other], len(WORDS))
    if word != other:
        assert dict(near[word])[other] == pytest.approx(cosine, abs=1e-5)
        assert dict(near[other])[word] == pytest.approx(cosine, abs=1e-5)
    similarities = [similarity for _, similarity in near[word]]
    assert similarities == sorted(similarities, reverse=True)


def test_a_word_may_be_written_as_texts_write_it(checkpoint: Path) -> None:
    near = neighbours(checkpoint, ["GREAT", "wasn't", "#LoveMovie", "<url>", ":-)"], 3)
    assert list(near) == ["great", "was", "n't", "<tag>", "love", "movie", "<url>", ":)"]
    assert all(len(words) == 3 for words in near.values())


def test_all_unknown_words_are_named_including_texts_without_words(checkpoint: Path) -> None:
    with pytest.raises(UnknownWordError, match=r"random has no vector for 'xyzzy', '', 'plugh'.*vocabulary\.txt"):
        neighbours(checkpoint, ["xyzzy", "good", "", "plugh"])


def test_a_word_whose_vector_is_zero_has_similarity_zero_to_every_word(tmp_path: Path) -> None:
    near = neighbours(_save(tmp_path / "c", {"bad": (0, 0)}), ["bad"], 3)["bad"]
    assert [similarity for _, similarity in near] == [0, 0, 0]


def test_gensim_reads_trained_vectors_and_they_lack_the_words_of_held_out_films(data: Path, tmp_path: Path) -> None:
    models = pytest.importorskip("gensim.models", reason="word vectors need pip install '.[train]'")
    file, epochs = tmp_path / "vectors.txt", list[int]()
    num_words = train_vectors(data, file, size=SIZE, num_epochs=2, on_epoch=epochs.append)
    vectors = models.KeyedVectors.load_word2vec_format(str(file))
    assert epochs == [1, 2]
    assert vectors.vectors.shape == (num_words, SIZE)
    assert np.isfinite(vectors.vectors).all()
    assert {"good", "flight", "great"} <= set(vectors.index_to_key)
    assert not set(SPECIAL_TOKENS) & set(vectors.index_to_key)  # none occurs in these texts

    dev, train = split_by_stream(read_corpora(data, ["imdb"])["imdb"], (DEV_SHARE,), SPLIT_SEED)
    held, learnt = ({example.text.split()[-1] for example in part} for part in (dev, train))
    assert held
    assert learnt <= set(vectors.index_to_key)
    assert not held & set(vectors.index_to_key)


def test_vectors_never_replace_a_file(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("gensim", reason="word vectors need pip install '.[train]'")
    file = tmp_path / "vectors.txt"
    file.write_text("precious")
    with pytest.raises(ModelError, match=r"vectors\.txt: exists, and is not overwritten"):
        train_vectors(data, file, size=SIZE, num_epochs=2)
    assert file.read_text() == "precious"
    late = tmp_path / "late.txt"
    with pytest.raises(ModelError, match=r"late\.txt: File exists"):
        train_vectors(data, late, size=SIZE, num_epochs=2, on_epoch=lambda epoch: late.write_text("precious") and None)
    assert late.read_text() == "precious"
    with pytest.raises(ModelError, match="no such directory"):
        train_vectors(data, tmp_path / "absent" / "vectors.txt", size=SIZE, num_epochs=2)


def test_without_gensim_training_vectors_says_what_to_install_before_it_reads_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gensim", None)
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    with pytest.raises(ModelError, match=r"pip install '\.\[train\]'"):
        train_vectors(tmp_path / "absent", tmp_path / "vectors.txt")
    assert not (tmp_path / "vectors.txt").exists()


TEXTS = ["good good film", "a bad flight", "sehr gut \u2764"]


def _write(file: Path, content: str) -> Path:
    file.write_bytes(gzip.compress(content.encode()) if file.suffix == ".gz" else content.encode())
    return file


@pytest.mark.parametrize("name", ["mine.txt", "mine", "mine.txt.gz", "mine.jsonl", "mine.jsonl.gz", "mine.csv"])
def test_own_texts_are_lines_or_rows_and_may_be_gzipped(name: str, tmp_path: Path) -> None:
    lines = "\n\n".join(TEXTS)
    if "jsonl" in name:
        lines = "\n".join(json.dumps({"text": text}) for text in TEXTS)
    elif "csv" in name:
        lines = "\n".join(["text", *TEXTS])
    assert read_texts(_write(tmp_path / name, lines + "\n")) == TEXTS


def test_vectors_are_made_from_own_texts_for_the_words_that_occur(tmp_path: Path) -> None:
    pytest.importorskip("gensim", reason="word vectors need pip install '.[train]'")
    source, file = _write(tmp_path / "mine.txt", "\n".join(TEXTS)), tmp_path / "vectors.txt"
    assert train_vectors(source, file, size=3, num_epochs=1) == 8
    head, *rows = file.read_text().splitlines()
    assert head == "8 3"
    assert [row.split()[0] for row in rows] == ["good", "a", "bad", "film", "flight", "gut", "sehr", "\u2764"]
    assert {len(row.split()) for row in rows} == {4}


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("mine.txt", b"", r"mine\.txt: no texts in it"),
        ("mine.txt", b" \n\n", r"mine\.txt: no texts in it"),
        ("mine.txt", b"\xff\xfe", r"mine\.txt: cannot be read: .*utf-8"),
        ("mine.txt", "\u200b \u00ad\n".encode(), r"mine\.txt: no words in its texts"),
        ("mine.gz", b"plain", r"mine\.gz: cannot be read: Not a gzipped file"),
        ("mine.gz", gzip.compress(b"good film" * 99, mtime=0)[:-9], r"mine\.gz: cannot be read: "),
        ("mine.jsonl", b'{"txt": "good"}', r'mine\.jsonl, line 1: no field "text"'),
        ("mine.txt", None, r"mine\.txt: cannot be read: No such file"),
    ],
)
def test_own_texts_that_cannot_be_used_are_refused_with_the_reason(
    name: str, content: bytes | None, problem: str, tmp_path: Path
) -> None:
    pytest.importorskip("gensim", reason="word vectors need pip install '.[train]'")
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=problem):
        train_vectors(tmp_path / name, tmp_path / "vectors.txt")
    assert not (tmp_path / "vectors.txt").exists()
