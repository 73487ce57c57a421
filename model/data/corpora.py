"""Labelled and unlabelled texts: readers for JSON lines and CSV, the corpora of a data directory, splits by stream."""

from __future__ import annotations

import csv
import gzip
import json
import math
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, TextIO

from model.errors import DataError

NEGATIVE, NEUTRAL, POSITIVE = 0, 1, 2
WORD_LABELS = {
    **dict.fromkeys(("negative", "neg"), NEGATIVE),
    **dict.fromkeys(("neutral", "neu"), NEUTRAL),
    **dict.fromkeys(("positive", "pos"), POSITIVE),
}
"""Label as a lower-case word -> its class, the index in (negative, neutral, positive)."""

FILES = {
    "imdb": "reviews/imdb_train.jsonl.gz",
    "imdb_unlabelled": "reviews/imdb_unlabelled.jsonl.gz",
    "sst2": "reviews/sst2_train.jsonl.gz",
    "sst2_dev": "reviews/sst2_dev.jsonl.gz",
    "semeval": "tweets/semeval_train.jsonl.gz",
    "semeval_dev": "tweets/semeval_dev.jsonl.gz",
    "topics_2point": "tweets/semeval_topics_2point.jsonl.gz",
    "topics_5point": "tweets/semeval_topics_5point.jsonl.gz",
    "airlines": "tweets/airlines.jsonl.gz",
}
"""Name of a corpus -> its file, relative to the data directory."""

DEV_SHARE, SPLIT_SEED = 0.2, 0  # of the films held out for evaluation, unless a training run chose others
EARLY_SHARE = 0.7  # of the airlines' tweets, ordered by time: training reads these, evaluation the later ones

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Example:
    """One text; `label` is a class index or None, `stream` the film, topic or account that it belongs to, if any.

    `kind`: what kind of text it is, where a file says so.
    """

    id: str
    text: str
    label: int | None = None
    stream: str | None = None
    split: str | None = None
    kind: str | None = None


def read_examples(path: Path, *, skip_labels: Collection[str] = ()) -> list[Example]:
    """Read every example of a file, in file order.

    The file is `.jsonl`, `.json` (one object a line) or `.csv`, optionally with `.gz`. A row has `text` and may have
    `id`, `stream`, `split`, `kind` and `label`; either every row has a label or none. A label is a word, or a number on
    one of the usual scales (see `_classes`). Rows whose label, as written, is in `skip_labels` are left out.

    Raises DataError, which names the file and, where one row is wrong, its line.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    rows = [(line, row) for line, row in _rows(path) if str(row.get("label")) not in skip_labels]
    if not rows:
        raise DataError(f"{path}: no examples in it")
    labelled = any(row.get("label") is not None for _, row in rows)
    classes = _classes(path, rows) if labelled else [None] * len(rows)
    return [_example(path, line, row, label) for (line, row), label in zip(rows, classes, strict=True)]


def read_corpora(data_dir: Path, names: Iterable[str]) -> dict[str, list[Example]]:
    """Read the named corpora (keys of FILES) of a data directory.

    Raises DataError for a file that cannot be read; where files are missing, it lists all of them.
    """
    skipped = {"topics_2point": ("neutral", "off topic")}
    paths = find_corpora(data_dir, names)
    return {name: read_examples(path, skip_labels=skipped.get(name, ())) for name, path in paths.items()}


def find_corpora(data_dir: Path, names: Iterable[str]) -> dict[str, Path]:
    """The files of the named corpora. Raises DataError, which lists every missing one."""
    paths = {name: data_dir / FILES[name] for name in names}
    missing = [str(path) for path in paths.values() if not path.is_file()]
    if missing:
        raise DataError("the data directory lacks " + ", ".join(missing))
    return paths


def stream_position(example: Example, seed: int) -> float:
    """Hash of the example's stream (of its id, if it has none) to [0, 1), the same on every machine."""
    key = f"{seed}:{example.stream if example.stream is not None else example.id}".encode()
    return int.from_bytes(blake2b(key, digest_size=8).digest()) / 2**64


def split_by_stream(examples: Sequence[Example], shares: Sequence[float], seed: int) -> tuple[list[Example], ...]:
    """Split examples into `len(shares) + 1` lists, with no stream in two of them.

    Each share, in 0..1, is that of the streams that go into one list; the last list has the rest.
    """
    splits: tuple[list[Example], ...] = tuple([] for _ in range(len(shares) + 1))
    bounds = [sum(shares[: i + 1]) for i in range(len(shares))]
    for example in examples:
        position = stream_position(example, seed)
        splits[sum(position >= bound for bound in bounds)].append(example)
    return splits


def split_by_time(examples: Sequence[Example], share: float = EARLY_SHARE) -> tuple[list[Example], list[Example]]:
    """The earlier `share` of examples that are ordered by time, and the later ones."""
    bound = round(share * len(examples))
    return list(examples[:bound]), list(examples[bound:])


def classes_of(examples: Iterable[Example], corpus: str) -> tuple[int, ...]:
    """The classes that occur, in ascending order. Raises DataError where there are fewer than two."""
    classes = tuple(sorted({example.label for example in examples if example.label is not None}))
    if len(classes) < 2:
        raise DataError(f"{corpus}: labels of at least two classes are needed, there are {len(classes)}")
    return classes


def _rows(path: Path) -> Iterator[tuple[int, Fields]]:
    """Line number and fields of every row."""
    kind = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"][-1:]
    readers = {".jsonl": _json_rows, ".json": _json_rows, ".csv": _csv_rows}
    if not kind or kind[0] not in readers:
        raise DataError(f"{path}: the name should end in .jsonl, .json or .csv, with or without .gz")
    try:
        with _open(path) as file:
            yield from readers[kind[0]](path, file)
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error


def _open(path: Path) -> TextIO:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _json_rows(path: Path, file: TextIO) -> Iterator[tuple[int, Fields]]:
    for line, content in enumerate(file, start=1):
        if not content.strip():
            continue
        try:
            row = json.loads(content)
        except ValueError as error:
            raise DataError(f"{path}, line {line}: not JSON: {error}") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {line}: a JSON object is needed")
        yield line, row


def _csv_rows(path: Path, file: TextIO) -> Iterator[tuple[int, Fields]]:
    reader = csv.DictReader(file)
    if "text" not in (reader.fieldnames or ()):
        raise DataError(f'{path}, line 1: the header needs a column "text"')
    try:
        for row in reader:
            yield reader.line_num, {name: value for name, value in row.items() if value not in ("", None)}
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}") from error


def _example(path: Path, line: int, row: Fields, label: int | None) -> Example:
    text = row.get("text")
    if not isinstance(text, str):
        raise DataError(f'{path}, line {line}: no field "text" with a string')
    stream, split, kind = (None if row.get(name) is None else str(row[name]) for name in ("stream", "split", "kind"))
    return Example(str(row.get("id", line)), text, label, stream, split, kind)


def _classes(path: Path, rows: list[tuple[int, Fields]]) -> list[int]:
    """Class index of every row's label: a word, or a number on one scale that holds for the whole file.

    The scales are -1..1 and -2..2 (if any number is negative; the sign decides), 0/1 (negative, positive), 0/1/2
    (class indices) and 0/2/4 (Sentiment140).
    """
    labels = [row.get("label") for _, row in rows]
    numeric = _number(labels[0]) is not None
    for (line, _), label in zip(rows, labels, strict=True):
        if label is None:
            raise DataError(f"{path}, line {line}: no label, but other rows have one")
        if _number(label) is None and _word(label) not in WORD_LABELS:
            raise DataError(f"{path}, line {line}: unknown label {label!r}")
        if (_number(label) is not None) != numeric:
            raise DataError(f"{path}, line {line}: label {label!r} mixes words with numbers: {labels[0]!r} came first")
    if not numeric:
        return [WORD_LABELS[_word(label)] for label in labels]
    numbers = [value for value in map(_number, labels) if value is not None]
    if min(numbers) < 0 and max(map(abs, numbers)) <= 2:
        return [NEUTRAL + (value > 0) - (value < 0) for value in numbers]
    for scale in ((0, 1), (0, 1, 2), (0, 2, 4)):
        if set(numbers) <= set(scale):
            return [POSITIVE * scale.index(int(value)) // (len(scale) - 1) for value in numbers]
    shown = ", ".join(f"{number:g}" for number in sorted(set(numbers))[:5])
    raise DataError(f"{path}: numbers as labels should be -1..1, -2..2, 0/1, 0/1/2 or 0/2/4, not {shown}")


def _word(label: object) -> str:
    return str(label).strip().lower()


def _number(label: object) -> float | None:
    """The label as a finite number, or None."""
    try:
        value = float(str(label))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
