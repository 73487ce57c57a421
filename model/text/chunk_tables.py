"""The tables in which compiled loops (`encoding.py`) find the ids of a chunk: the vocabulary's, and a cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from model.text.encoding import CHARS, IDS, MAX_TABLE_CHARS, WAS_USED, Table, insert_all

_MAX_CACHED_CHUNKS = 1 << 16  # about 8 MB
_CHUNK_CHARS, _CHUNK_IDS = 16, 4  # room in the cache for so many on average


def code_points(text: str) -> NDArray[np.uint32]:
    """The characters of a text, lone surrogates included, as the loops read them."""
    return np.frombuffer(bytearray(text.encode("utf-32-le", "surrogatepass")), np.uint32)


def table_of(words: Sequence[str]) -> Table:
    """The ids of a vocabulary's words, as far as they are short enough for a chunk of the table."""
    ids = {word: [row] for row, word in enumerate(words) if len(word) <= MAX_TABLE_CHARS}
    max_entries, max_chars = len(ids), sum(map(len, ids))
    while True:
        table = Table.empty(max_entries, max_chars, len(ids))
        if insert(table, ids) == len(ids):
            return table
        max_entries *= 2  # too many words have the same place


def empty_cache() -> Table:
    """A cache without chunks."""
    size = _MAX_CACHED_CHUNKS
    return Table.empty(size, _CHUNK_CHARS * size, _CHUNK_IDS * size)


def insert(table: Table, ids: Mapping[str, Sequence[int]]) -> int:
    """Insert as many chunks as there is room for; return how many of them the table has."""
    num_chars = np.fromiter(map(len, ids), np.intp, len(ids))
    num_ids = np.fromiter(map(len, ids.values()), np.intp, len(ids))
    flat = np.fromiter(chain.from_iterable(ids.values()), np.intp)
    ends = np.cumsum(num_chars)
    return insert_all(table, code_points("".join(ids)), ends - num_chars, ends, flat, np.cumsum(num_ids))


def used_entries(table: Table) -> Table:
    """A table of the entries that were used; an empty one if these are more than half."""
    size = int(table.size[0])
    starts, ends = table.entries[:size, [CHARS, IDS]], table.entries[1 : size + 1, [CHARS, IDS]]
    used = np.flatnonzero(table.entries[:size, WAS_USED])
    kept = empty_cache()
    if 2 * len(used) <= size:
        spans = zip(starts[used, 1].tolist(), ends[used, 1].tolist(), strict=True)
        ids = np.concatenate([np.empty(0, np.intp), *(table.ids[begin:end] for begin, end in spans)])
        insert_all(kept, table.chars, starts[used, 0], ends[used, 0], ids, np.cumsum((ends - starts)[used, 1]))
    return kept
