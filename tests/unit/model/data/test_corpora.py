"""Examples are read from files, and split by stream."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.data.corpora import FILES, Example, classes_of, read_corpora, read_examples, split_by_stream
from model.errors import DataError

ROWS = [
    {"id": "a", "stream": "film", "text": 'Good, "very" good', "label": "positive", "split": "dev"},
    {"id": "b", "text": "bad\nand long", "label": "negative"},
]
EXAMPLES = [
    Example("a", 'Good, "very" good', 2, "film", "dev"),
    Example("b", "bad\nand long", 0),
]


def _json_lines(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_json_lines_and_csv_gzipped_or_not_read_the_same(tmp_path: Path) -> None:
    lines = _json_lines(tmp_path / "a.jsonl", ROWS).read_bytes()
    table = (
        b'id,stream,text,label,split\r\na,film,"Good, ""very"" good",positive,dev\r\nb,,"bad\nand long",negative,\r\n'
    )
    (tmp_path / "a.csv").write_bytes(table)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(table))

    for name in ("a.jsonl", "a.jsonl.gz", "a.csv", "a.csv.gz"):
        assert read_examples(tmp_path / name) == EXAMPLES


def test_a_row_without_an_id_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one"}\n\n{"text": "two"}\n')
    assert [example.id for example in read_examples(path)] == ["1", "3"]


@pytest.mark.parametrize(
    ("written", "classes"),
    [
        (["negative", "Neutral", " POS "], [0, 1, 2]),
        ([-1, 0, 1], [0, 1, 2]),
        (["-2", "-1", "0", "1", "2"], [0, 0, 1, 2, 2]),
        ([-0.75, 0.0, 0.25], [0, 1, 2]),
        ([0, 1, 1], [0, 2, 2]),
        ([0, 1, 2], [0, 1, 2]),
        ([0, 2, 4], [0, 1, 2]),
        (["0", "4"], [0, 2]),
        ([None, None], [None, None]),
    ],
)
def test_labels_are_words_or_numbers_on_a_usual_scale(
    tmp_path: Path, written: list[object], classes: list[int | None]
) -> None:
    path = _json_lines(tmp_path / "a.jsonl", [{"text": "x", "label": label} for label in written])
    assert [example.label for example in read_examples(path)] == classes


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (
            "a.jsonl",
            b'{"text": "x", "label": "positive"}\n{"text": "x", "label": "joy"}\n',
            "line 2: unknown label 'joy'",
        ),
        ("a.jsonl", b'{"text": "x", "label": "positive"}\n{"text": "x", "label": 1}\n', "line 2: label 1 mixes"),
        ("a.jsonl", b'{"text": "x", "label": "positive"}\n{"text": "x"}\n', "line 2: no label"),
        ("a.jsonl", b'{"text": "x", "label": true}\n', "unknown label True"),
        ("a.jsonl", b'{"text": "x", "label": NaN}\n', "unknown label nan"),
        ("a.jsonl", b'{"text": "x", "label": 7}\n{"text": "x", "label": -7}\n', "not -7, 7"),
        ("a.jsonl", b'{"label": "positive"}\n', 'line 1: no field "text"'),
        ("a.jsonl", b'{"text": 3}\n', 'line 1: no field "text"'),
        ("a.jsonl", b'{"text": "x"}\n{"text": \n', "line 2: not JSON"),
        ("a.jsonl", b'["x"]\n', "line 1: a JSON object is needed"),
        ("a.jsonl", b"", "no examples"),
        ("a.jsonl", b'{"text": "\xff"}\n', "cannot be read"),
        ("a.jsonl.gz", gzip.compress(b'{"text": "x"}\n' * 1000, mtime=0)[:-9], "cannot be read"),
        ("a.jsonl.gz", b'{"text": "x"}\n', "cannot be read"),
        ("a.jsonl.gz", gzip.compress(b'{"text": "x"}\n', mtime=0)[:10] + b"\xff" * 20, "cannot be read"),
        ("a.csv", b"id,tweet\n1,x\n", 'the header needs a column "text"'),
        ("a.csv", b"", 'the header needs a column "text"'),
        ("a.csv", b"id,text\n1,\n", 'line 2: no field "text"'),
        ("a.txt", b"x\n", "should end in"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_reason(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as refused:
        read_examples(tmp_path / name)
    assert reason in str(refused.value)
    assert str(tmp_path / name) in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"b\.csv: there is no such file"):
        read_examples(tmp_path / "b.csv")


def test_labels_may_be_skipped(tmp_path: Path) -> None:
    path = _json_lines(tmp_path / "a.jsonl", [*ROWS, {"text": "x", "label": "off topic"}])
    assert read_examples(path, skip_labels=("off topic",)) == EXAMPLES


def test_every_missing_file_of_a_data_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "reviews").mkdir()
    (tmp_path / FILES["sst2"]).write_bytes(gzip.compress(b'{"text": "x"}\n'))
    with pytest.raises(DataError) as refused:
        read_corpora(tmp_path, ("imdb", "sst2", "semeval"))
    assert FILES["imdb"] in str(refused.value)
    assert FILES["semeval"] in str(refused.value)
    assert FILES["sst2"] not in str(refused.value)


def test_one_class_alone_cannot_be_trained_on_or_measured() -> None:
    with pytest.raises(DataError, match="reviews: labels of at least two classes"):
        classes_of([Example("a", "x", 2), Example("b", "y", None)], "reviews")


_examples = st.lists(st.builds(Example, st.text(), st.just(""), stream=st.none() | st.sampled_from("abcdefgh")))


@given(_examples, st.lists(st.floats(0, 0.4), max_size=2), st.integers(0, 5))
def test_a_split_keeps_every_example_and_cuts_no_stream(
    examples: list[Example], shares: list[float], seed: int
) -> None:
    splits = split_by_stream(examples, shares, seed)
    assert len(splits) == len(shares) + 1
    key = lambda example: (example.id, example.stream or "")  # noqa: E731
    assert sorted((e for split in splits for e in split), key=key) == sorted(examples, key=key)
    seen = [{e.stream or ("id", e.id) for e in split} for split in splits]
    assert sum(map(len, seen)) == len(set().union(*seen))
    assert split_by_stream(examples[::-1], shares, seed)[0] == splits[0][::-1]


def test_the_shares_hold_and_the_seed_chooses_the_streams() -> None:
    examples = [Example(str(i), "", stream=f"film {i}") for i in range(4000)]
    first, second, rest = split_by_stream(examples, (0.2, 0.1), seed=0)
    assert [round(len(split) / 4000, 1) for split in (first, second, rest)] == [0.2, 0.1, 0.7]
    other, *_ = split_by_stream(examples, (0.2, 0.1), seed=1)
    assert set(other) != set(first)
