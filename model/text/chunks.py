"""Cuts texts into chunks, the same ones whole and in pieces.

A chunk is a run of characters other than whitespace, at most MAX_CHUNK_CHARS long. In the scripts of `ranges` it is
the longest word of the vocabulary that begins there, or a single character: whether a word could still become longer
is known `max_piece_chars` characters after its beginning, so less than that stays pending.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from model.text.encoding import CJK_RANGES, MAX_CHUNK_CHARS, MAX_TABLE_CHARS

Ranges = Sequence[tuple[int, int]]

_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")


class Chunker:
    """Cuts texts into chunks. `words` may have others than those of the scripts in `ranges`."""

    def __init__(self, ranges: Ranges, words: Iterable[str] = ()) -> None:
        chars = "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)
        self._run = re.compile(f"[{chars}]+")
        self._chunk = re.compile(rf"[{chars}]+|[^\s{chars}]{{1,{MAX_CHUNK_CHARS}}}")
        self._pieces = {word for word in words if len(word) <= MAX_TABLE_CHARS and self._run.fullmatch(word)}
        self.max_piece_chars = max(map(len, self._pieces), default=1)

    def has(self, chunk: str) -> bool:
        """Whether the chunk is of a script that is cut by longest match."""
        return self._run.match(chunk) is not None

    def is_of(self, text: str) -> bool:
        """Whether every character is of these scripts."""
        return self._run.fullmatch(text) is not None

    def cut(self, text: str) -> list[str]:
        """The chunks of `text`, in order."""
        return text.split() if self._is_cut_by_spaces(text) else list(self.cut_by_pattern(text))

    def cut_by_pattern(self, text: str) -> Iterator[str]:
        """The chunks of `text` by the general way, which `cut` avoids where it can."""
        for match in self._chunk.finditer(text):
            chunk = match[0]
            if self._run.match(chunk):
                yield from self._pieces_of(chunk)
            else:
                yield chunk

    def cut_piece(self, pending: str, text: str, final: bool) -> tuple[list[str], str]:
        """The chunks that are complete after `pending + text`, and the new pending text (empty if `final`)."""
        whole = pending + text
        chunks = self.cut(whole)
        if final or not chunks or whole[-1].isspace():
            return chunks, ""
        if not self.has(chunks[-1]):
            return chunks, chunks.pop()
        rest = ""
        while chunks and self.has(chunks[-1]) and len(chunks[-1] + rest) <= self.max_piece_chars:
            if not whole.endswith(chunks[-1] + rest):
                break  # there is a space between them
            rest = chunks.pop() + rest
        return chunks, rest

    def _is_cut_by_spaces(self, text: str) -> bool:
        """Whether `str.split` finds the same chunks as the pattern; it is three times as fast."""
        if len(text) > MAX_CHUNK_CHARS:
            return False
        return text.isascii() or not self._run.search("".join(_BEYOND_ASCII.findall(text)))

    def _pieces_of(self, run: str) -> Iterator[str]:
        place = 0
        while place < len(run):
            limit = min(len(run), place + self.max_piece_chars)
            end = next((end for end in range(limit, place + 1, -1) if run[place:end] in self._pieces), place + 1)
            yield run[place:end]
            place = end


BY_CHARACTER = Chunker(CJK_RANGES)
"""Each CJK character is a chunk of its own."""
