"""The entry kept for a stream between two of its records, and its encoding in Redis."""

from __future__ import annotations

import struct

from msgspec import Struct
from msgspec.structs import replace

from model import ModelConfig, StateError, StreamState
from worker.records.types import ResetReason
from worker.state.mood import MoodState

FORMAT_VERSION = 1
_HEADER = struct.Struct("<BBHQq")  # version, reset reason, mood bytes, records, last event time in ms
# An entry holds the index of its reason, so the order must not change.
_RESET_REASONS = (
    None,
    ResetReason.HISTORY_LOST,
    ResetReason.EXPIRED,
    ResetReason.NOT_FINITE,
    ResetReason.TOPIC_RECREATED,
    ResetReason.LOG_TRUNCATED,
    ResetReason.MOVED,
)


class StreamEntry(Struct, frozen=True, gc=False):
    """The network's state of a stream, its mood, and the number and time of its records.

    num_records: records since the state was last empty. time_ms: the latest event time among them.
    mood: None until the first text is complete. reset: the reset reason that no event has reported yet, or None.
    """

    state: StreamState
    mood: MoodState | None
    num_records: int
    time_ms: int
    reset: ResetReason | None = None

    def reported(self) -> StreamEntry:
        """The same entry once an event has reported its reset reason."""
        return self if self.reset is None else replace(self, reset=None)

    def to_bytes(self, fingerprint: str) -> bytes:
        """Encode header, mood, and the network's state with the model's `fingerprint`, in this order."""
        mood = self.mood.to_bytes() if self.mood else b""
        reason = _RESET_REASONS.index(self.reset)
        header = _HEADER.pack(FORMAT_VERSION, reason, len(mood), self.num_records, self.time_ms)
        return header + mood + self.state.to_bytes(fingerprint)

    @classmethod
    def from_bytes(cls, data: bytes, config: ModelConfig, fingerprint: str) -> StreamEntry:
        """Decode an entry. Raises StateError when the bytes are of another version or model, or truncated."""
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
            reset=_RESET_REASONS[reason],
        )
