"""Compiled loops of the tokenizer: cut texts into chunks and look up their ids, without a Python object for any.

A chunk that is an ordinary ASCII word, a user name or a URL, with common punctuation around it, is encoded from the
vocabulary, and so is a piece of a script that is cut by longest match. Any other one is looked up in a table of chunks
that were met before. What is in neither is left to `normalise.py`.

One file, though a long one: these loops call each other, and numba's cache notices a change of a loop's own file alone.
"""

# ruff: noqa: PLR0912, PLR0913, PLR0915, PLR0917, PLR1714, SIM110 - compiled loops take plain arrays; a set is slow there

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

import model.processor  # noqa: F401 - before anything is compiled

MAX_CHUNK_CHARS = 512  # bounds the pending text that a stream stores
MAX_TABLE_CHARS = 64  # longer chunks hardly ever repeat

CJK_RANGES = (
    (0x3040, 0x30FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xAC00, 0xD7AF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
PIECE_RANGES = (
    (0x0600, 0x077F),  # Arabic
    (0x0900, 0x109F),  # Devanagari to Myanmar, with Thai and Lao
    (0x1780, 0x17FF),  # Khmer
    *CJK_RANGES,
)
CONTINUED = "##"  # begins a vocabulary word that continues a word, as in WordPiece

_MAX_PROBES = 64  # bounds the time of a look-up, also for texts that are made to collide
HASH, CHARS, IDS, WAS_USED = range(4)  # columns of a table's entries
_FNV_OFFSET, _FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a

# Properties of ASCII characters.
_SPACE, _LETTER, _CAPITAL, _NAME, _BEFORE, _AFTER, _URL = (1 << bit for bit in range(7))
_URL_ESCAPES = "&<>"  # begin HTML entities and tags


def _properties(char: str) -> int:
    flags = {
        _SPACE: char.isspace(),
        _LETTER: char.isalpha(),
        _CAPITAL: char.isupper(),
        _NAME: char.isalnum() or char == "_",
        _BEFORE: char in "\"'(",
        _AFTER: char in ".,!?\"')",
        _URL: "!" <= char <= "~" and char not in _URL_ESCAPES,
    }
    return sum(flag for flag, holds in flags.items() if holds)


_PROPERTIES = np.array([_properties(chr(code)) for code in range(128)], np.uint8)


def _crc_of_byte(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0xEDB88320 if value & 1 else 0)
    return value


_CRC = np.array([_crc_of_byte(value) for value in range(256)], np.uint32)

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _compiled(function: _Function) -> _Function:
    """Compile, and keep the GIL: a call is atomic, so threads may share a table.

    Nothing is allocated, so references need not be counted, which would take longer than the look-ups.
    """
    return cast(_Function, numba.njit(cache=True, error_model="numpy", _nrt=False)(function))


class Table(NamedTuple):
    """Ids of character sequences: a hash table with linear probing. Entries are numbered in order of insertion.

    A row of `entries` has the entry's hash, where its characters and its ids begin, and whether it was found since it
    was inserted. Characters and ids end where those of the next row begin.
    """

    slots: NDArray[np.int32]  # (power of two,): entry + 1, or 0
    entries: NDArray[np.int64]  # (entries + 1, 4)
    chars: NDArray[np.uint32]
    ids: NDArray[np.int64]
    size: NDArray[np.int64]  # (1,): the number of entries

    @classmethod
    def empty(cls, max_entries: int, max_chars: int, max_ids: int) -> Table:
        """A table with room for this many entries, and this many characters and ids of all of them together."""
        return cls(
            np.zeros(1 << (2 * max_entries).bit_length(), np.int32),
            np.zeros((max_entries + 1, 4), np.int64),
            np.empty(max_chars, np.uint32),
            np.empty(max_ids, np.int64),
            np.zeros(1, np.int64),
        )


class Vocabulary(NamedTuple):
    """The ids of words, and of the special tokens that the loops write themselves."""

    words: Table
    num_words: int
    num_buckets: int
    hashes_unknown: bool  # an unknown word has the id of its bucket; otherwise it is left to `plain_forms.py`
    url: int
    user: int
    all_caps: int
    ranges: NDArray[np.uint32]  # (ranges, 2): first and last character of the scripts that are cut by longest match
    max_piece_chars: int  # of a word in these scripts
    has_pieces: bool  # whether unknown words are cut into pieces, too


@_compiled
def _is_space(char: Any) -> Any:
    """`str.isspace` of the character."""
    if char < 128:
        return (_PROPERTIES[char] & _SPACE) != 0
    if char < 0x2000:
        return char == 0x85 or char == 0xA0 or char == 0x1680
    return char <= 0x200A or char == 0x2028 or char == 0x2029 or char == 0x202F or char == 0x205F or char == 0x3000


@_compiled
def _is_in(ranges: Any, char: Any) -> Any:
    if char >= ranges[0, 0]:
        for at in range(ranges.shape[0]):
            if ranges[at, 0] <= char <= ranges[at, 1]:
                return True
    return False


@_compiled
def _hash(chars: Any, begin: int, end: int) -> Any:
    value = _FNV_OFFSET
    for at in range(begin, end):
        value = (value ^ np.uint64(chars[at])) * _FNV_PRIME
    return np.int64(value ^ (value >> np.uint64(32)))


@_compiled
def _slot_of(slots: Any, entries: Any, inside: Any, chars: Any, begin: int, end: int, value: Any) -> Any:
    """The slot of the entry with these characters and this hash, or the free one that it would get; -1 if it is far."""
    mask = slots.shape[0] - 1
    for probe in range(_MAX_PROBES):
        slot = (value + probe) & mask
        entry = slots[slot] - 1
        if entry < 0:
            return slot
        first, length = entries[entry, CHARS], end - begin
        if entries[entry, HASH] == value and entries[entry + 1, CHARS] - first == length:
            at = 0
            while at < length and inside[first + at] == chars[begin + at]:
                at += 1
            if at == length:
                return slot
    return -1


@_compiled
def _find(slots: Any, entries: Any, inside: Any, chars: Any, begin: int, end: int) -> Any:
    """The entry with these characters, or -1."""
    slot = _slot_of(slots, entries, inside, chars, begin, end, _hash(chars, begin, end))
    return np.int64(slots[slot]) - 1 if slot >= 0 else -1


@_compiled
def insert_all(table: Any, chars: Any, begins: Any, ends: Any, ids: Any, id_ends: Any) -> int:
    """Insert chars[begins[i] : ends[i]] with the ids up to id_ends[i]; return how many of them the table has then.

    It stops at the first one for which there is no room. One that would be far from its place is left out.
    """
    num_inside, id_begin = 0, 0
    for number in range(begins.shape[0]):
        begin, end, id_end = begins[number], ends[number], id_ends[number]
        size = table.size[0]
        value = _hash(chars, begin, end)
        slot = _slot_of(table.slots, table.entries, table.chars, chars, begin, end, value)
        if slot >= 0 and table.slots[slot] == 0:
            first_char, first_id = table.entries[size, CHARS], table.entries[size, IDS]
            char_end, table_id_end = first_char + end - begin, first_id + id_end - id_begin
            has_room = char_end <= table.chars.shape[0] and table_id_end <= table.ids.shape[0]
            if not has_room or size + 1 == table.entries.shape[0]:
                break
            for at in range(begin, end):
                table.chars[first_char + at - begin] = chars[at]
            for at in range(id_begin, id_end):
                table.ids[first_id + at - id_begin] = ids[at]
            table.entries[size, HASH], table.entries[size, WAS_USED] = value, 0
            table.entries[size + 1, CHARS], table.entries[size + 1, IDS] = char_end, table_id_end
            table.slots[slot] = table.size[0] = size + 1
        num_inside += slot >= 0
        id_begin = id_end
    return num_inside


@_compiled
def _write_entry(entries: Any, entry_ids: Any, entry: int, ids: Any, at: int) -> int:
    """Write the ids of an entry from ids[at] on, as far as there is room; return where they end."""
    entries[entry, WAS_USED] = 1
    for source in range(entries[entry, IDS], entries[entry + 1, IDS]):
        if at < ids.shape[0]:
            ids[at] = entry_ids[source]
        at += 1
    return at


@_compiled
def _is_url(chars: Any, begin: int, end: int) -> bool:
    """Whether it is http:// or https://, and then ASCII without HTML entities or tags."""
    if end - begin < 7 or chars[begin] != ord("h") or chars[begin + 1] != ord("t") or chars[begin + 2] != ord("t"):
        return False
    at = begin + 4 + (chars[begin + 4] == ord("s"))
    if chars[begin + 3] != ord("p") or end - at < 3 or chars[at] != ord(":"):
        return False
    if chars[at + 1] != ord("/") or chars[at + 2] != ord("/"):
        return False
    for rest in range(at + 3, end):
        if chars[rest] >= 128 or not _PROPERTIES[chars[rest]] & _URL:
            return False
    return True


@_compiled
def _is_exception(word: Any, length: int) -> bool:
    """Whether `normalise.py` may do more with a word (in lower case) than look it up."""
    last, before = word[length - 1], word[length - 2] if length > 1 else 0
    if last == ord("t") and (before == ord("n") or (length == 6 and word[0] == ord("c") and before == ord("o"))):
        return True  # may be a negation without its apostrophe, or "cannot"
    if 4 <= length <= 5 and word[0] == ord("h") and word[1] == word[2] == ord("t") and word[3] == ord("p"):
        return True  # may be a URL
    for at in range(length):
        if word[at] != ord("a") and word[at] != ord("h"):
            return False
    return True  # may be laughter


@_compiled
def _lower_word(chars: Any, begin: int, end: int, word: Any) -> int:
    """Write ASCII letters to `word` in lower case; return how many are capitals, or -1 if it is no ordinary word."""
    length = end - begin
    if length > word.shape[0] or ((chars[begin] | 32) == ord("x") and length > 1 and chars[begin + 1] == ord("D")):
        return -1
    num_capitals = 0
    for place in range(length):
        char = chars[begin + place]
        if place > 1 and char == chars[begin + place - 1] == chars[begin + place - 2]:
            return -1
        num_capitals += (_PROPERTIES[char] & _CAPITAL) != 0
        word[place] = char | 32
    return -1 if _is_exception(word, length) else num_capitals


@_compiled
def _bucket(word: Any, length: int, num_buckets: int) -> Any:
    """CRC-32 of ASCII characters, modulo `num_buckets`."""
    crc = np.uint32(0xFFFFFFFF)
    for place in range(length):
        crc = np.uint32(_CRC[(crc ^ word[place]) & np.uint32(255)] ^ (crc >> np.uint32(8)))
    return np.int64(crc ^ np.uint32(0xFFFFFFFF)) % num_buckets


@_compiled
def _split_plain(chars: Any, begin: int, end: int) -> tuple[int, int]:
    """Where a chunk's word or user name begins and ends; -1, -1 if there is more around it than common punctuation."""
    first = begin
    while first < end and chars[first] < 128 and _PROPERTIES[chars[first]] & _BEFORE:
        first += 1
    is_user = first < end and chars[first] == ord("@")
    kind = _NAME if is_user else _LETTER
    last = first + is_user
    while last < end and chars[last] < 128 and _PROPERTIES[chars[last]] & kind:
        last += 1
    if last == first + is_user:
        return -1, -1
    if last == end - 1 and chars[last] == ord(":") and first == begin and last > begin + 1:  # "(o:" and "D:" are faces
        return first, last
    for rest in range(last, end):
        if chars[rest] >= 128 or not _PROPERTIES[chars[rest]] & _AFTER:
            return -1, -1
    return first, last


@_compiled
def _longest_match(slots: Any, entries: Any, inside: Any, chars: Any, begin: int, limit: int, max_chars: int) -> Any:
    """Where the longest vocabulary word ends that begins at `begin` and ends at most at `limit`; `begin` for none."""
    longest: Any = begin
    value = _FNV_OFFSET
    for at in range(begin, min(limit, begin + max_chars)):
        value = (value ^ np.uint64(chars[at])) * _FNV_PRIME  # the hash of each prefix goes on from the one before
        slot = _slot_of(slots, entries, inside, chars, begin, at + 1, np.int64(value ^ (value >> np.uint64(32))))
        if slot >= 0 and slots[slot] > 0:
            longest = at + 1
    return longest


@_compiled
def _chunk_end(
    ranges: Any, slots: Any, entries: Any, inside: Any, max_piece_chars: int, chars: Any, begin: int, text_end: int
) -> int:
    end = begin + 1
    if _is_in(ranges, chars[begin]):
        if max_piece_chars > 1:
            limit = min(text_end, begin + max_piece_chars)
            while end < limit and _is_in(ranges, chars[end]):
                end += 1
            end = max(begin + 1, _longest_match(slots, entries, inside, chars, begin, end, max_piece_chars))
    else:
        limit = min(text_end, begin + MAX_CHUNK_CHARS)
        while end < limit and not _is_space(chars[end]) and not _is_in(ranges, chars[end]):
            end += 1
    return end


@_compiled
def _write_pieces(
    slots: Any, entries: Any, inside: Any, row_ids: Any, word: Any, length: int, piece: Any, ids: Any, at: int
) -> int:
    """Write the ids of the longest pieces of a word, from left to right; -1 if the vocabulary lacks one of them."""
    piece[0] = piece[1] = ord("#")
    place, first = 0, 2
    while place < length:
        for rest in range(place, length):
            piece[2 + rest - place] = word[rest]
        end = _longest_match(slots, entries, inside, piece, first, 2 + length - place, 2 + MAX_TABLE_CHARS)
        if end <= 2:
            return -1
        at = _write(row_ids[_find(slots, entries, inside, piece, first, end)], ids, at)
        place += end - 2
        first = 0
    return at


@_compiled
def _write(found: int, ids: Any, at: int) -> int:
    if at < ids.shape[0]:
        ids[at] = found
    return at + 1


@_compiled
def encode_texts(
    chars: Any,
    text_ends: Any,
    vocabulary: Any,
    known: Any,
    buffers: Any,
    ids: Any,
    num_chunks: Any,
    chunk_starts: Any,
    chunk_ends: Any,
    chunk_tokens: Any,
) -> tuple[int, int]:
    """Cut the texts, whose characters are chars (characters,), into chunks, and encode those.

    Returns the number of chunks and of ids, which may be more than there is room for. buffers
    (2, MAX_TABLE_CHARS + 2): room for a word and for a piece of it. Output: num_chunks (texts,);
    chunk_starts, chunk_ends (characters,): places in the chunk's text; chunk_tokens (characters,), -1 if the chunk's
    ids are unknown; ids (any,).
    """
    # the tables' arrays one by one: a tuple of them that is handed on costs more than a look-up
    slots, entries, inside, entry_ids = known.slots, known.entries, known.chars, known.ids
    words = vocabulary.words
    word_slots, word_entries, word_chars, word_ids = words.slots, words.entries, words.chars, words.ids
    num_words, num_buckets = vocabulary.num_words, vocabulary.num_buckets
    ranges, max_piece_chars, has_pieces = vocabulary.ranges, vocabulary.max_piece_chars, vocabulary.has_pieces
    word, piece = buffers[0], buffers[1]
    number: Any = np.int64(0)
    at: Any = np.int64(0)
    begin: Any = np.int64(0)
    zero: Any = np.int64(0)
    for text in range(text_ends.shape[0]):
        before, text_end, place = number, text_ends[text], begin
        while place < text_end:
            if _is_space(chars[place]):
                place += 1
                continue
            end = _chunk_end(ranges, word_slots, word_entries, word_chars, max_piece_chars, chars, place, text_end)
            id_end: Any = np.int64(-1)
            if has_pieces and _is_in(ranges, chars[place]):
                row = _find(word_slots, word_entries, word_chars, chars, place, end)
                id_end = _write(word_ids[row], ids, at) if row >= 0 else id_end
            elif _is_url(chars, place, end):
                id_end = _write(vocabulary.url, ids, at)
            elif end - place <= MAX_TABLE_CHARS:
                first, last = _split_plain(chars, place, end)
                is_user = first >= 0 and chars[first] == ord("@")
                num_capitals = _lower_word(chars, first, last, word) if first >= 0 and not is_user else -1
                if is_user or num_capitals >= 0:
                    opening = _find(slots, entries, inside, chars, place, first) if first > place else -1
                    closing = _find(slots, entries, inside, chars, last, end) if last < end else -1
                    if (first == place or opening >= 0) and (last == end or closing >= 0):
                        id_end = _write_entry(entries, entry_ids, opening, ids, at) if opening >= 0 else at
                        if is_user:
                            id_end = _write(vocabulary.user, ids, id_end)
                        else:
                            length = last - first
                            row = _find(word_slots, word_entries, word_chars, word, zero, length)
                            if row >= 0:
                                id_end = _write(word_ids[row], ids, id_end)
                            elif not vocabulary.hashes_unknown:
                                id_end = np.int64(-1)
                            else:
                                piece_end: Any = np.int64(-1)
                                if has_pieces:
                                    piece_end = _write_pieces(
                                        word_slots, word_entries, word_chars, word_ids, word, length, piece, ids, id_end
                                    )
                                bucket = num_words + _bucket(word, length, num_buckets)
                                id_end = piece_end if piece_end >= 0 else _write(bucket, ids, id_end)
                            if id_end >= 0 and length > 2 and num_capitals == length:
                                id_end = _write(vocabulary.all_caps, ids, id_end)
                        if closing >= 0 and id_end >= 0:
                            id_end = _write_entry(entries, entry_ids, closing, ids, id_end)
            if id_end < 0 and end - place <= MAX_TABLE_CHARS:
                entry = _find(slots, entries, inside, chars, place, end)
                if entry >= 0:
                    id_end = _write_entry(entries, entry_ids, entry, ids, at)
            chunk_starts[number], chunk_ends[number] = place - begin, end - begin
            chunk_tokens[number] = id_end - at if id_end >= 0 else -1
            at = max(at, id_end)
            number += 1
            place = end
        num_chunks[text] = number - before
        begin = text_end
    return number, at
