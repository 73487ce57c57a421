"""The state of a stream between two calls, and its encoding as bytes.

The encoding, format 2, little-endian; K is the stream size and H the hidden size:

    u8 format, u8 whether a text is open, u16 K, u16 H, 8 bytes fingerprint, u64 number of texts,
    f32[2, K] hidden and cell of the stream LSTM;
    for an open text: u32 number of tokens, u32 number of unknown tokens, u16 bytes of the pending chunk, u16 bytes of
        the text's beginning, both in UTF-8,
        f32[3, H] hidden, cell and maximum of the word LSTM, f64[H] sum of its hidden states;
    u32 CRC-32 of all bytes before it

Format 1 has neither the number of unknown tokens nor the beginning; they are read as 0 and as empty.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Self
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from model.config import ModelConfig
from model.errors import StateError
from model.inference.kernels.compiled import compiled

STATE_FORMAT = 2
OLD_STATE_FORMAT = 1

FloatArray = NDArray[np.float32]
DoubleArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_HEAD = struct.Struct("<BBHH8sQ")
_OPEN = struct.Struct("<IIHH")
_OLD_OPEN = struct.Struct("<IH")
_CRC = struct.Struct("<I")


@dataclass(frozen=True, slots=True, eq=False)
class OpenText:
    """An unfinished text: the word LSTM's state after its tokens so far, and its unfinished chunk.

    beginning: its first characters, at most identifier.MAX_CHARS, which its language is identified from.
    """

    pending: str
    num_tokens: int
    words: FloatArray  # (3, hidden size): hidden, cell, elementwise maximum of the hidden states so far
    total: DoubleArray  # (hidden size,): sum of the hidden states; float64 keeps the mean of a long text exact
    num_unknown: int = 0  # of the tokens
    beginning: str = ""

    def is_finite(self) -> bool:
        """Whether all numbers are finite, so that the network can go on from here."""
        return bool(np.isfinite(self.words).all() and np.isfinite(self.total).all())


@dataclass(frozen=True, slots=True, eq=False)
class StreamState:
    """The state of a stream after a request. Immutable: its arrays are never written again, so it may be shared."""

    carried: FloatArray  # (2, stream size): hidden and cell of the stream LSTM
    num_texts: int
    open_text: OpenText | None = None

    @classmethod
    def empty(cls, config: ModelConfig) -> Self:
        """The initial state of every stream."""
        return cls(np.zeros((2, config.stream_size), np.float32), 0)

    @property
    def hidden(self) -> FloatArray:
        """The hidden state (stream size,) of the stream LSTM."""
        hidden: FloatArray = self.carried[0]
        return hidden

    @property
    def cell(self) -> FloatArray:
        """The cell state (stream size,) of the stream LSTM."""
        cell: FloatArray = self.carried[1]
        return cell

    def to_bytes(self, fingerprint: str) -> bytes:
        """Encode the state. `fingerprint` (16 hex digits) identifies the network that made it."""
        opened = self.open_text
        hidden_size = opened.words.shape[1] if opened else 0
        fields = [
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
            beginning = opened.beginning.encode("utf-8", "surrogatepass")
            lengths = _OPEN.pack(opened.num_tokens, opened.num_unknown, len(pending), len(beginning))
            fields += [lengths, pending, beginning]
            fields += [opened.words.astype("<f4").tobytes(), opened.total.astype("<f8").tobytes()]
        body = b"".join(fields)
        return body + _CRC.pack(crc32(body))

    @classmethod
    def from_bytes(cls, data: bytes, config: ModelConfig, fingerprint: str) -> Self:
        """Decode a state. Raises StateError if `data` has another format, network or size, or is damaged."""
        if not data or data[0] not in {OLD_STATE_FORMAT, STATE_FORMAT}:
            found = data[0] if data else None
            raise StateError(f"state has format {found}, this version reads {OLD_STATE_FORMAT} and {STATE_FORMAT}")
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
    if not is_open:
        return size
    if len(data) < size + _lengths(data).size:
        return size + _lengths(data).size
    _, _, pending_bytes, beginning_bytes = _open_lengths(data, size - _CRC.size)
    return size + _lengths(data).size + pending_bytes + beginning_bytes + (3 * 4 + 8) * hidden_size


def _lengths(data: bytes) -> struct.Struct:
    return _OLD_OPEN if data[0] == OLD_STATE_FORMAT else _OPEN


def _open_lengths(data: bytes, at: int) -> tuple[int, int, int, int]:
    """The numbers of tokens and of unknown ones, and the bytes of the pending chunk and of the beginning."""
    if data[0] == OLD_STATE_FORMAT:
        num_tokens, pending_bytes = _OLD_OPEN.unpack_from(data, at)
        return num_tokens, 0, pending_bytes, 0
    num_tokens, num_unknown, pending_bytes, beginning_bytes = _OPEN.unpack_from(data, at)
    return num_tokens, num_unknown, pending_bytes, beginning_bytes


def _open_text_from(data: bytes, at: int, hidden_size: int) -> OpenText:
    num_tokens, num_unknown, pending_bytes, beginning_bytes = _open_lengths(data, at)
    at += _lengths(data).size
    try:
        pending = data[at : at + pending_bytes].decode("utf-8", "surrogatepass")
        at += pending_bytes
        beginning = data[at : at + beginning_bytes].decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise StateError(f"state of {len(data)} bytes: its text is not UTF-8") from error
    if num_unknown > num_tokens:
        raise StateError(f"state has {num_unknown} unknown tokens of {num_tokens}")
    at += beginning_bytes
    words = np.frombuffer(data, "<f4", 3 * hidden_size, at).astype(np.float32).reshape(3, hidden_size)
    total = np.frombuffer(data, "<f8", hidden_size, at + words.nbytes).astype(np.float64)
    return OpenText(pending, num_tokens, words, total, num_unknown, beginning)


@dataclass(frozen=True, slots=True, eq=False)
class WordState:
    """The word LSTM's state for several rows; `OpenText` holds that of one row."""

    words: FloatArray  # (3, rows, hidden size): hidden, cell, maximum
    total: DoubleArray  # (rows, hidden size)
    num_tokens: NDArray[np.int64]  # (rows,)

    @classmethod
    def empty(cls, num_rows: int, hidden_size: int) -> Self:
        """All rows at the start of a text. The maximum starts at -1, the lower bound of hidden states."""
        words = np.zeros((3, num_rows, hidden_size), np.float32)
        words[2] = -1
        return cls(words, np.zeros((num_rows, hidden_size), np.float64), np.zeros(num_rows, np.int64))

    def put(self, row: int, opened: OpenText) -> None:
        """Set the state of `row` to that of `opened`."""
        self.words[:, row], self.total[row], self.num_tokens[row] = opened.words, opened.total, opened.num_tokens

    def get(self, row: int, pending: str, num_unknown: int, beginning: str) -> OpenText:
        """The state of `row`, copied so that it does not keep the batch in memory."""
        words, total = self.words[:, row].copy(), self.total[row].copy()
        return OpenText(pending, int(self.num_tokens[row]), words, total, num_unknown, beginning)

    def copy_rows(self, rows: IntArray, source: WordState, source_rows: IntArray) -> None:
        """Overwrite `rows` with `source_rows` of `source`."""
        self.words[:, rows] = source.words[:, source_rows]
        self.total[rows] = source.total[source_rows]
        self.num_tokens[rows] = source.num_tokens[source_rows]

    def pooled(self, rows: IntArray) -> FloatArray:
        """(rows, 3 * hidden size): last, maximum and mean of the hidden states; zero for rows without tokens."""
        pooled: FloatArray = _pooled(self.words, self.total, self.num_tokens, rows)
        return pooled


@compiled
def _pooled(words: Any, total: Any, num_tokens: Any, rows: Any) -> Any:
    size = total.shape[1]
    out = np.zeros((len(rows), 3 * size), np.float32)
    for place, row in enumerate(rows):
        if num_tokens[row] > 0:
            for j in range(size):
                out[place, j] = words[0, row, j]
                out[place, size + j] = words[2, row, j]
                out[place, 2 * size + j] = total[row, j] / num_tokens[row]
    return out
