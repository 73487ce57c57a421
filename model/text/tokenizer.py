"""Turns text into token ids. A text gives the same ids whole and in pieces, wherever it is split.

A text is cut into chunks (`chunks.py`). All further steps are pure functions of one chunk (`normalise.py`,
`plain_forms.py`), so ordinary words are looked up by compiled loops (`encoding.py`), which also keep the ids of other
chunks. The last chunk of a piece may be unfinished: it stays `pending` until the next piece arrives.

The id of a word is its line number in the vocabulary, from 0. An unknown word gets one of `num_buckets` ids after
those, chosen by CRC-32. There are two kinds of vocabulary:

WORDS    words alone; each CJK character is a chunk
PIECES   words of scripts with spaces, and pieces of the others, which are cut by longest match (Wu et al. 2016,
         "Google's Neural Machine Translation System", for words). An unknown word is cut into known ones: a word,
         then pieces that begin with `##`. It gets a bucket only where one of these is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from model.text.chunk_tables import code_points, empty_cache, insert, table_of, used_entries
from model.text.chunks import BY_CHARACTER, Chunker
from model.text.encoding import (
    CJK_RANGES,
    CONTINUED,
    MAX_TABLE_CHARS,
    PIECE_RANGES,
    Vocabulary,
    encode_texts,
)
from model.text.normalise import ALLCAPS, SPECIAL_TOKENS, URL, USER, split_chunk
from model.text.plain_forms import NORMALISATIONS, PlainForms

IntArray = NDArray[np.intp]

WORDS, PIECES = TOKENIZER_VERSIONS = (1, 2)
"""The kinds of vocabulary, by the number that a checkpoint has for them."""

_BEFORE, _AFTER = "\"'(", ".,!?\"')"  # punctuation around a word, which `encoding.py` looks up apart


class EncodedTexts(NamedTuple):
    """The ids of texts, text after text, and the chunks they come from."""

    ids: IntArray  # (tokens,)
    num_chunks: IntArray  # (texts,)
    chunk_tokens: IntArray  # (chunks,): the number of tokens of each chunk
    chunk_starts: IntArray  # (chunks,): where the chunk begins in its text
    chunk_ends: IntArray  # (chunks,)


class Tokenizer:
    """Maps text to token ids. Safe to use from several threads."""

    def __init__(
        self, words: Sequence[str], num_buckets: int, version: int = WORDS, *, normalisation: int = NORMALISATIONS[0]
    ) -> None:
        """version: one of TOKENIZER_VERSIONS; normalisation: one of NORMALISATIONS.

        A network reads the tokens of those that it learnt from.
        """
        is_first = normalisation == NORMALISATIONS[0]
        self.num_words = len(words)
        self.version = version
        self.normalisation = normalisation
        self._num_buckets = num_buckets
        self._has_pieces = version == PIECES
        ranges = PIECE_RANGES if self._has_pieces else CJK_RANGES
        self._chunker = Chunker(ranges, words) if self._has_pieces else BY_CHARACTER
        self.cut, self.cut_piece = self._chunker.cut, self._chunker.cut_piece
        self._ids = {word: row for row, word in enumerate(words)}
        self._split_chunk = split_chunk if is_first else PlainForms(self._ids).split_chunk
        self._vocabulary = Vocabulary(
            table_of(words),
            self.num_words,
            num_buckets,
            hashes_unknown=is_first,
            url=self.word_id(URL),
            user=self.word_id(USER),
            all_caps=self.word_id(ALLCAPS),
            ranges=np.array(ranges, np.uint32),
            max_piece_chars=self._chunker.max_piece_chars,
            has_pieces=self._has_pieces,
        )
        self._known = empty_cache()

    @staticmethod
    def split(text: str) -> list[str]:
        """The tokens of a whole text as words. Vocabularies and word vectors are built from them."""
        return [token for chunk in BY_CHARACTER.cut(text) for token in split_chunk(chunk)]

    def encode(self, text: str) -> list[int]:
        """The ids of a whole text."""
        ids: list[int] = self.encode_texts([text]).ids.tolist()
        return ids

    def encode_texts(self, texts: Sequence[str]) -> EncodedTexts:
        """The ids of whole texts, or of pieces without their pending chunk."""
        chars = code_points("".join(texts))
        text_ends = np.cumsum(np.fromiter(map(len, texts), np.intp, len(texts)))
        num_chunks = np.empty(len(texts), np.intp)
        chunk_starts, chunk_ends, chunk_tokens = np.empty((3, len(chars)), np.intp)
        num_ids = len(chars)
        while True:
            ids = np.empty(num_ids, np.intp)
            total, num_ids = encode_texts(
                chars,
                text_ends,
                self._vocabulary,
                self._known,
                np.empty((2, len(CONTINUED) + MAX_TABLE_CHARS), np.uint32),
                ids,
                num_chunks,
                chunk_starts,
                chunk_ends,
                chunk_tokens,
            )
            if num_ids <= len(ids):
                break
        encoded = EncodedTexts(
            ids[:num_ids], num_chunks, chunk_tokens[:total], chunk_starts[:total], chunk_ends[:total]
        )
        missing = np.flatnonzero(encoded.chunk_tokens < 0)
        return self._completed(encoded, texts, missing) if len(missing) else encoded

    def _completed(self, encoded: EncodedTexts, texts: Sequence[str], missing: IntArray) -> EncodedTexts:
        """`encoded` with the ids of the chunks that the loops did not know, which they know from now on."""
        of_text = np.searchsorted(np.cumsum(encoded.num_chunks), missing, side="right").tolist()
        spans = zip(of_text, encoded.chunk_starts[missing].tolist(), encoded.chunk_ends[missing].tolist(), strict=True)
        chunks = [texts[text][start:end] for text, start, end in spans]
        found = {chunk: self.chunk_ids(chunk) for chunk in dict.fromkeys(chunks)}
        self._remember(found)
        new = [found[chunk] for chunk in chunks]
        num_new = np.fromiter(map(len, new), np.intp, len(new))
        chunk_tokens = encoded.chunk_tokens
        chunk_tokens[missing] = 0
        places = np.cumsum(chunk_tokens)[missing]
        chunk_tokens[missing] = num_new
        flat = np.fromiter(chain.from_iterable(new), np.intp)
        return encoded._replace(ids=np.insert(encoded.ids, np.repeat(places, num_new), flat))

    def _remember(self, found: Mapping[str, Sequence[int]]) -> None:
        """Put chunks, and the punctuation around words among them, into the cache; make room if it is full."""
        cached = {chunk: ids for chunk, ids in found.items() if len(chunk) <= MAX_TABLE_CHARS}
        for affix in dict.fromkeys(chain.from_iterable(map(_affixes, cached))):
            cached[affix] = self.chunk_ids(affix)
        if insert(self._known, cached) < len(cached):
            self._known = used_entries(self._known)

    def chunk_ids(self, chunk: str) -> list[int]:
        """The ids of one chunk, computed without the compiled loops."""
        if not self._has_pieces:
            return list(map(self.word_id, self._split_chunk(chunk)))
        if self._chunker.has(chunk):
            return [self.word_id(chunk)]
        return [row for word in self._split_chunk(chunk) for row in self._piece_ids(word)]

    def has_tokens(self, text: str) -> bool:
        """Whether `text` has any tokens after normalising."""
        return any((chunk.isascii() and chunk.isalnum()) or self.chunk_ids(chunk) for chunk in self.cut(text))

    def _piece_ids(self, word: str) -> list[int]:
        """The id of a known word, those of an unknown one's longest pieces, or its bucket if a piece is missing."""
        if word in self._ids or not word.isalpha():
            return [self.word_id(word)]
        found: list[int] = []
        rest, before = word, ""
        while rest:
            ends = range(len(rest), 0, -1)
            end = next(
                (end for end in ends if len(before) + end <= MAX_TABLE_CHARS and before + rest[:end] in self._ids), 0
            )
            if not end:
                return [self.word_id(word)]
            found.append(self._ids[before + rest[:end]])
            rest, before = rest[end:], CONTINUED
        return found

    def word_id(self, word: str) -> int:
        """The id of `word`: its line number in the vocabulary, or its bucket if it is unknown."""
        row = self._ids.get(word)
        if row is None:
            row = self.num_words + crc32(word.encode()) % self._num_buckets
        return row


def _affixes(chunk: str) -> Iterator[str]:
    """The punctuation before and after the word of a chunk, if there is any."""
    inner = chunk.lstrip(_BEFORE)
    word = inner[:-1] if inner.endswith(":") else inner.rstrip(_AFTER)
    if word and len(word) < len(chunk):
        yield from filter(None, (chunk[: len(chunk) - len(inner)], inner[len(word) :]))


def build_vocabulary(counts: Mapping[str, int], size: int) -> list[str]:
    """The special tokens, then the most frequent words (ties in alphabetical order), at most `size` in all."""
    words = [word for word in counts if word not in SPECIAL_TOKENS and word.isprintable()]
    words.sort(key=lambda word: (-counts[word], word))
    return [*SPECIAL_TOKENS, *words][:size]
