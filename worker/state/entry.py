"""The entry kept for a stream between two of its records, and its encoding in Redis."""

from __future__ import annotations

import struct

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from model import ModelConfig, StateError, StreamState
from worker.records.types import ResetReason
from worker.state.mood import MoodState

FORMAT_VERSION = 2
_INTEGERS = msgspec.msgpack.Decoder(list[int])  # reset reason, records, last event time in ms
_OLD_FORMAT_VERSION = 1
_OLD_HEADER = struct.Struct("<BBHQq")  # version, reset reason, mood bytes, records, last event time in ms
_PREFIX_BYTES = 3  # version, bytes of the integers, bytes of the mood
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
        """Encode header, mood, and the network's state with the model's `fingerprint`, in this order.

        The header: a version byte, the numbers of bytes of the integers and of the mood, the integers as a MessagePack
        array. Redis' allocator has room for 896 and for 1,024 bytes: with 96 cells in the stream LSTM and one side of
        the mood's test away from zero, this is below the first.
        """
        mood = self.mood.to_bytes(self.time_ms) if self.mood else b""
        integers = msgspec.msgpack.encode((_RESET_REASONS.index(self.reset), self.num_records, self.time_ms))
        return bytes((FORMAT_VERSION, len(integers), len(mood))) + integers + mood + self.state.to_bytes(fingerprint)

    @classmethod
    def from_bytes(cls, data: bytes, config: ModelConfig, fingerprint: str) -> StreamEntry:
        """Decode an entry, of version 1 too.

        Raises StateError when the bytes are of another version or model, or truncated.
        """
        if data[:1] == bytes([_OLD_FORMAT_VERSION]) and len(data) >= _OLD_HEADER.size:
            _, reason, mood_bytes, num_records, time_ms = _OLD_HEADER.unpack_from(data)
            mood_at = _OLD_HEADER.size
        elif data[:1] == bytes([FORMAT_VERSION]) and len(data) >= _PREFIX_BYTES:
            mood_at, mood_bytes = _PREFIX_BYTES + data[1], data[2]
            reason, num_records, time_ms = _decode_integers(data[_PREFIX_BYTES:mood_at])
        else:
            found = data[0] if data else None
            raise StateError(f"stream entry of version {found}, {len(data)} bytes; this is version {FORMAT_VERSION}")
        if not 0 <= reason < len(_RESET_REASONS) or num_records < 0:
            raise StateError(f"stream entry: reset reason {reason} after {num_records} records")
        mood_end = mood_at + mood_bytes
        return cls(
            state=StreamState.from_bytes(data[mood_end:], config, fingerprint),
            mood=MoodState.from_bytes(data[mood_at:mood_end], time_ms) if mood_bytes else None,
            num_records=num_records,
            time_ms=time_ms,
            reset=_RESET_REASONS[reason],
        )


def _decode_integers(data: bytes) -> tuple[int, int, int]:
    try:
        reason, num_records, time_ms = _INTEGERS.decode(data)
    except (msgspec.DecodeError, ValueError) as error:
        raise StateError(f"stream entry: header of {len(data)} bytes, truncated or altered") from error
    return reason, num_records, time_ms
