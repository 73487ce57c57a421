"""Vectors of texts by the encoder, kept in the run folder as they are made: a run that is killed loses one block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.training.multilingual.e5 import DIM, TextEncoder

BLOCK_TEXTS = 64
_KEY_BYTES = 16
_ENTRY = np.dtype([("key", np.uint8, _KEY_BYTES), ("vector", np.float16, DIM)])


class VectorCache:
    """An append-only file of texts' hashes and vectors. A partial entry at its end is cut off."""

    def __init__(self, file: Path, encoder: TextEncoder) -> None:
        self._file, self._encoder = file, encoder
        self._vectors: dict[bytes, NDArray[np.float16]] = {}
        if file.exists():
            whole = file.stat().st_size // _ENTRY.itemsize * _ENTRY.itemsize
            with file.open("r+b") as handle:
                handle.truncate(whole)
            for entry in np.fromfile(file, _ENTRY):
                self._vectors[entry["key"].tobytes()] = entry["vector"]

    def vectors(self, texts: Sequence[str], on_text: Callable[[int], None] = lambda done: None) -> NDArray[np.float32]:
        """(texts, DIM) vectors; `on_text` receives the number of texts that are done."""
        keys = [_key(text) for text in texts]
        missing = list({key: text for key, text in zip(keys, texts, strict=True) if key not in self._vectors}.items())
        for start in range(0, len(missing), BLOCK_TEXTS):
            on_text(len(texts) - len(missing) + start)
            block = missing[start : start + BLOCK_TEXTS]
            entries = np.empty(len(block), _ENTRY)
            entries["key"] = [np.frombuffer(key, np.uint8) for key, _ in block]
            entries["vector"] = self._encoder.vectors([text for _, text in block])
            with self._file.open("ab") as handle:
                handle.write(entries.tobytes())
            self._vectors |= {key: entry["vector"] for (key, _), entry in zip(block, entries, strict=True)}
        on_text(len(texts))
        return np.array([self._vectors[key] for key in keys], np.float32).reshape(-1, DIM)


def _key(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_KEY_BYTES).digest()
