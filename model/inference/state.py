"""What a stream remembers between two calls, and how it becomes bytes.

Bytes of a state, little-endian, format 1:

    u8 format, u8 whether a text is open, u16 stream size K, u16 hidden size H, 8 bytes fingerprint, u64 texts,
    f32[2, K] hidden and cell of the stream LSTM;
    for an open text: u32 tokens, u16 bytes of the pending chunk, that chunk in UTF-8,
        f32[3, H] hidden, cell and maximum of the word LSTM, f64[H] sum of its hidden states;
    u32 CRC-32 of everything before
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Self
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from model.config import ModelConfig
from model.errors import StateError

STATE_FORMAT = 1

FloatArray = NDArray[np.float32]
DoubleArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_HEAD = struct.Struct("<BBHH8sQ")
_OPEN = struct.Struct("<IH")
_CRC = struct.Struct("<I")


@dataclass(frozen=True, slots=True, eq=False)
class OpenText:
    """A text of which more pieces are to come: the word LSTM after its tokens so far, and the unfinished chunk."""

    pending: str
    num_tokens: int
    words: FloatArray  # (3, H): hidden, cell, elementwise maximum of the hidden states so far
    total: DoubleArray  # (H,): sum of the hidden states; double, so that the mean of a long text stays exact

    def is_finite(self) -> bool:
        """Whether the network can go on from here."""
        return bool(np.isfinite(self.words).all() and np.isfinite(self.total).all())


@dataclass(frozen=True, slots=True, eq=False)
class StreamState:
    """Where a stream stands after a request. Never changed once made, so it may be shared."""

    carried: FloatArray  # (2, K): hidden and cell of the stream LSTM
    num_texts: int
    open_text: OpenText | None = None

    @classmethod
    def empty(cls, config: ModelConfig) -> Self:
        """Where every stream begins."""
        return cls(np.zeros((2, config.stream_size), np.float32), 0)

    @property
    def hidden(self) -> FloatArray:
        """(K,) of the stream LSTM."""
        hidden: FloatArray = self.carried[0]
        return hidden

    @property
    def cell(self) -> FloatArray:
        """(K,) of the stream LSTM."""
        cell: FloatArray = self.carried[1]
        return cell

    def to_bytes(self, fingerprint: str) -> bytes:
        """The state for a store; `fingerprint` (16 hex digits) names the network that made it."""
        opened = self.open_text
        hidden_size = opened.words.shape[1] if opened else 0
        parts = [
            _HEAD.pack(
                STATE_FORMAT,
                opened is not None,
                self.carried.shape[1],
                hidden_size,
                bytes.fromhex(fingerprint),
                self.num_texts,
            ),
            self.carried.astype("<f4").tobytes(),
        ]
        if opened:
            pending = opened.pending.encode("utf-8", "surrogatepass")
            parts += [_OPEN.pack(opened.num_tokens, len(pending)), pending]
            parts += [opened.words.astype("<f4").tobytes(), opened.total.astype("<f8").tobytes()]
        body = b"".join(parts)
        return body + _CRC.pack(crc32(body))

    @classmethod
    def from_bytes(cls, data: bytes, config: ModelConfig, fingerprint: str) -> Self:
        """The state back. Raises StateError where `data` is of another format, network or size, or was altered."""
        if not data or data[0] != STATE_FORMAT:
            raise StateError(f"state has format {data[0] if data else None}, this version reads {STATE_FORMAT}")
        if len(data) < _HEAD.size + _CRC.size:
            raise StateError(f"state has a size of {len(data)} bytes, less than its header")
        _, is_open, stream_size, hidden_size, maker, num_texts = _HEAD.unpack_from(data)
        if maker.hex() != fingerprint:
            raise StateError(f"state has fingerprint {maker.hex()}, the network has {fingerprint}")
        if stream_size != config.stream_size or (is_open and hidden_size != config.hidden_size):
            raise StateError(
                f"state has sizes {stream_size} and {hidden_size}, "
                f"the network {config.stream_size} and {config.hidden_size}"
            )
        if crc32(data[: -_CRC.size]) != _CRC.unpack_from(data, len(data) - _CRC.size)[0]:
            raise StateError(f"state of {len(data)} bytes fails its checksum: truncated or altered")
        if len(data) != _num_bytes(data, is_open, stream_size, hidden_size):
            raise StateError(f"state has a size of {len(data)} bytes, which its own lengths contradict")
        carried = np.frombuffer(data, "<f4", 2 * stream_size, _HEAD.size).astype(np.float32).reshape(2, stream_size)
        opened = _open_text_from(data, _HEAD.size + carried.nbytes, hidden_size) if is_open else None
        return cls(carried, num_texts, opened)


def _num_bytes(data: bytes, is_open: bool, stream_size: int, hidden_size: int) -> int:
    size = _HEAD.size + 2 * 4 * stream_size + _CRC.size
    if not is_open or len(data) < size + _OPEN.size:
        return size
    _, pending_bytes = _OPEN.unpack_from(data, size - _CRC.size)
    return size + _OPEN.size + int(pending_bytes) + (3 * 4 + 8) * hidden_size


def _open_text_from(data: bytes, at: int, hidden_size: int) -> OpenText:
    num_tokens, pending_bytes = _OPEN.unpack_from(data, at)
    at += _OPEN.size
    pending = data[at : at + pending_bytes].decode("utf-8", "surrogatepass")
    at += pending_bytes
    words = np.frombuffer(data, "<f4", 3 * hidden_size, at).astype(np.float32).reshape(3, hidden_size)
    total = np.frombuffer(data, "<f8", hidden_size, at + words.nbytes).astype(np.float64)
    return OpenText(pending, num_tokens, words, total)


@dataclass(frozen=True, slots=True, eq=False)
class WordState:
    """The word LSTM of several rows: what OpenText is for one."""

    words: FloatArray  # (3, rows, H): hidden, cell, maximum
    total: DoubleArray  # (rows, H)
    num_tokens: NDArray[np.int64]  # (rows,)

    @classmethod
    def empty(cls, num_rows: int, hidden_size: int) -> Self:
        """All rows at the start of a text. A maximum begins at -1, which no hidden state is below."""
        words = np.zeros((3, num_rows, hidden_size), np.float32)
        words[2] = -1
        return cls(words, np.zeros((num_rows, hidden_size), np.float64), np.zeros(num_rows, np.int64))

    def put(self, row: int, opened: OpenText) -> None:
        """Let `row` go on where `opened` stands."""
        self.words[:, row], self.total[row], self.num_tokens[row] = opened.words, opened.total, opened.num_tokens

    def get(self, row: int, pending: str) -> OpenText:
        """Where `row` stands, as a copy that does not keep the batch in memory."""
        return OpenText(pending, int(self.num_tokens[row]), self.words[:, row].copy(), self.total[row].copy())

    def copy_rows(self, rows: IntArray, source: WordState, source_rows: IntArray) -> None:
        """Overwrite `rows` with `source_rows` of `source`."""
        self.words[:, rows] = source.words[:, source_rows]
        self.total[rows] = source.total[source_rows]
        self.num_tokens[rows] = source.num_tokens[source_rows]

    def pooled(self, rows: IntArray | slice = slice(None)) -> FloatArray:
        """(rows, 3 H): [last; maximum; mean] of the hidden states; zero where no token was read."""
        num_tokens = self.num_tokens[rows, None]
        mean = self.total[rows] / np.maximum(num_tokens, 1)
        pooled = np.concatenate([self.words[0, rows], self.words[2, rows], mean.astype(np.float32)], axis=1)
        pooled[num_tokens[:, 0] == 0] = 0
        return pooled
