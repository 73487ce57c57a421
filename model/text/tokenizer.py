"""Turns text into token ids. A text gives the same ids whole and in pieces, wherever it is split.

A text is cut into chunks: runs of characters other than whitespace, at most MAX_CHUNK_CHARS long; each CJK character is
a chunk of its own. All further steps are pure functions of one chunk (`normalise.py`), so their results are cached. The
last chunk of a piece may be unfinished: it stays `pending` until the next piece arrives.

The id of a word is its line number in the vocabulary, from 0. An unknown word gets one of `num_buckets` ids after
those, chosen by CRC-32.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Mapping, Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from model.text.normalise import SPECIAL_TOKENS, URL, split_chunk, write_word

IntArray = NDArray[np.intp]

TOKENIZER_VERSION = 1
MAX_CHUNK_CHARS = 512  # bounds the pending text that a stream stores

_PACKED = np.dtype(np.intc)  # type code "i" of the module `array`
_MAX_CACHED_CHUNKS = 1 << 16  # in each of two generations: about 25 MB together
_MAX_CACHED_CHUNK_CHARS = 64  # longer chunks hardly ever repeat

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_CHUNK = re.compile(rf"[{_CJK}]|[^\s{_CJK}]{{1,{MAX_CHUNK_CHARS}}}")
_CJK_CHAR, _BEYOND_ASCII = re.compile(f"[{_CJK}]"), re.compile(r"[^\x00-\x7f]+")
# Fast paths: for these chunks the result of `normalise.py` is known without running its pattern.
_PLAIN_URL = re.compile(r"https?://[!-%'-;=?-~]*")  # ASCII without HTML entities or tags
_PLAIN_WORD = re.compile(r"""(["'(]*)(?!https?\b|www\b|[xX]D)([a-zA-Z]+(?:'[a-zA-Z]+)*)([.,!?"')]*)""")


def cut(text: str) -> list[str]:
    """The chunks of `text`, in order."""
    return text.split() if _is_cut_by_spaces(text) else _CHUNK.findall(text)


def _is_cut_by_spaces(text: str) -> bool:
    """Whether `str.split` finds the same chunks as the pattern; it is three times as fast."""
    if len(text) > MAX_CHUNK_CHARS:
        return False
    return text.isascii() or not _CJK_CHAR.search("".join(_BEYOND_ASCII.findall(text)))


def cut_piece(pending: str, text: str, final: bool) -> tuple[list[str], str]:
    """The chunks that are complete after `pending + text`, and the new pending chunk (empty if `final`)."""
    chunks = cut(pending + text if pending else text)
    if final or not chunks:
        return chunks, ""
    last_char = text[-1:] or pending[-1:]
    return (chunks, "") if last_char.isspace() else (chunks, chunks.pop())


class Tokenizer:
    """Maps text to token ids. Safe to use from several threads."""

    def __init__(self, words: Sequence[str], num_buckets: int) -> None:
        self.num_words = len(words)
        self._num_buckets = num_buckets
        self._ids = {word: row for row, word in enumerate(words)}
        self._cache = _Cache(self._pack)

    @staticmethod
    def split(text: str) -> list[str]:
        """The tokens of a whole text as words. Vocabularies and word vectors are built from them."""
        return [token for chunk in cut(text) for token in split_chunk(chunk)]

    def encode(self, text: str) -> list[int]:
        """The ids of a whole text."""
        ids: list[int] = self.encode_chunks(cut(text))[0].tolist()
        return ids

    def encode_chunks(self, chunks: Sequence[str]) -> tuple[IntArray, IntArray]:
        """The ids of all chunks one after the other (tokens,), and the number of ids of each chunk (chunks,)."""
        packed = list(map(self._cache.__getitem__, chunks))
        ids = np.frombuffer(b"".join(packed), _PACKED).astype(np.intp)
        num_bytes = np.fromiter(map(len, packed), np.intp, len(packed))
        return ids, num_bytes // _PACKED.itemsize

    def has_tokens(self, text: str) -> bool:
        """Whether `text` has any tokens after normalising."""
        return any(map(self._cache.__getitem__, cut(text)))

    def word_id(self, word: str) -> int:
        """The id of `word`: its line number in the vocabulary, or its bucket if it is unknown."""
        row = self._ids.get(word)
        if row is None:
            row = self.num_words + crc32(word.encode()) % self._num_buckets
        return row

    def _pack(self, tokens: Sequence[str]) -> bytes:
        return array("i", map(self.word_id, tokens)).tobytes()


class _Cache(dict[str, bytes]):
    """Maps a chunk to its ids as packed integers, computed on first use.

    Two generations bound its size: a full young generation replaces the old one, which drops the chunks that have not
    been used since the last replacement.
    """

    def __init__(self, pack: Callable[[Sequence[str]], bytes]) -> None:
        super().__init__()
        self._pack = pack
        self._url = pack([URL])
        self._old: dict[str, bytes] = {}

    def __missing__(self, chunk: str) -> bytes:
        if _PLAIN_URL.fullmatch(chunk):  # URLs hardly ever repeat, so they are not cached
            return self._url
        ids = self._old.get(chunk)
        if ids is None:
            ids = self._encode(chunk)
        if len(chunk) <= _MAX_CACHED_CHUNK_CHARS:
            if len(self) >= _MAX_CACHED_CHUNKS:
                self._old = self.copy()
                self.clear()
            self[chunk] = ids
        return ids

    def _encode(self, chunk: str) -> bytes:
        """Most new chunks are a known word between punctuation, so the word and the punctuation are looked up apart."""
        plain = _PLAIN_WORD.fullmatch(chunk)
        if plain is None:
            return self._pack(split_chunk(chunk))
        before, word, after = plain.groups()
        if before or after:
            return self[before] + self[word] + self[after]
        return self._pack(write_word(word))


def build_vocabulary(counts: Mapping[str, int], size: int) -> list[str]:
    """The special tokens, then the most frequent words (ties in alphabetical order), at most `size` in all."""
    words = [word for word in counts if word not in SPECIAL_TOKENS and word.isprintable()]
    words.sort(key=lambda word: (-counts[word], word))
    return [*SPECIAL_TOKENS, *words][:size]
