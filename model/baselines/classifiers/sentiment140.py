"""Reader for Sentiment140: Latin-1 CSV files without a header, with columns target, ids, date, flag, user, text.

Go, Bhayani and Huang 2009, "Twitter Sentiment Classification using Distant Supervision". A target is 0 (negative),
2 (neutral, only in the test file) or 4 (positive).
"""

from __future__ import annotations

import csv
from pathlib import Path

from model.data.corpora import NEGATIVE, NEUTRAL, POSITIVE, Example
from model.errors import DataError

COLUMNS = ("target", "ids", "date", "flag", "user", "text")
_CLASSES = {"0": NEGATIVE, "2": NEUTRAL, "4": POSITIVE}


def read_sentiment140(path: Path) -> list[Example]:
    """Every tweet of a file, in file order; the stream of a tweet is its user.

    Raises DataError for a file that cannot be read or has no tweets and, with the line, for a malformed row or an
    unknown target.
    """
    try:
        with path.open(encoding="latin-1", newline="") as file:
            rows = csv.reader(file, strict=True)
            examples = [_example(path, rows.line_num, row) for row in rows if row]
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except csv.Error as error:
        raise DataError(f"{path}, line {rows.line_num}: not CSV ({error}); unpack the archive first") from error
    if not examples:
        raise DataError(f"{path}: no tweets in it")
    return examples


def _example(path: Path, line: int, row: list[str]) -> Example:
    if len(row) != len(COLUMNS):
        raise DataError(f"{path}, line {line}: {len(row)} fields; a tweet has {len(COLUMNS)}: {', '.join(COLUMNS)}")
    target, tweet, _, _, user, text = row
    if target not in _CLASSES:
        raise DataError(f"{path}, line {line}: unknown target {target!r}; it is 0, 2 or 4")
    return Example(tweet, text, _CLASSES[target], user)
