"""What is kept of a stream between two of its records, and its bytes in Redis."""

from __future__ import annotations

import struct

from msgspec import Struct
from msgspec.structs import replace

from model import ModelConfig, StateError, StreamState
from worker.state.mood import MoodState

FORMAT_VERSION = 1
_HEADER = struct.Struct("<BBHQq")  # version, reset reason, mood bytes, records, last event time in ms
RESET_REASONS = (None, "history_lost", "expired", "not_finite")


class StreamEntry(Struct, frozen=True, gc=False):
    """The network's state of a stream, its mood, and how far it has come.

    num_records: records in the state since it was last empty. time_ms: the latest event time among them.
    mood: None until a text is whole. reset: why the stream began anew, until an event has said so.
    """

    state: StreamState
    mood: MoodState | None
    num_records: int
    time_ms: int
    reset: str | None = None

    def told(self) -> StreamEntry:
        """The same entry once an event has carried its reset reason."""
        return self if self.reset is None else replace(self, reset=None)

    def to_bytes(self, fingerprint: str) -> bytes:
        """Header, mood, then the network's state with the model's `fingerprint`."""
        mood = self.mood.to_bytes() if self.mood else b""
        reason = RESET_REASONS.index(self.reset)
        header = _HEADER.pack(FORMAT_VERSION, reason, len(mood), self.num_records, self.time_ms)
        return header + mood + self.state.to_bytes(fingerprint)

    @classmethod
    def from_bytes(cls, data: bytes, config: ModelConfig, fingerprint: str) -> StreamEntry:
        """Raises StateError when the bytes are of another version or model, or cut short."""
        if len(data) < _HEADER.size or data[0] != FORMAT_VERSION:
            found = data[0] if data else None
            raise StateError(f"stream entry of version {found}, {len(data)} bytes; this is version {FORMAT_VERSION}")
        _, reason, mood_bytes, num_records, time_ms = _HEADER.unpack_from(data)
        mood_end = _HEADER.size + mood_bytes
        return cls(
            state=StreamState.from_bytes(data[mood_end:], config, fingerprint),
            mood=MoodState.from_bytes(data[_HEADER.size : mood_end]) if mood_bytes else None,
            num_records=num_records,
            time_ms=time_ms,
            reset=RESET_REASONS[reason],
        )
