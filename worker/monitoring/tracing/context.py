"""W3C Trace Context (https://www.w3.org/TR/trace-context/) in the headers of Kafka records.

Whatever is malformed is ignored, as the specification asks: a record never suffers from its trace headers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from worker.records.types import Header

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
# What a vendor has to pass on at least; more would only make events larger.
MAX_TRACESTATE_BYTES: Final = 512
MAX_TRACESTATE_MEMBERS: Final = 32
SAMPLED: Final = 1

# A later version may have more fields behind these four.
_TRACEPARENT = re.compile(rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
# A key, which may be of one tenant of a vendor, and printable text without comma and equals sign.
_MEMBER = re.compile(
    rb"([a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})"
    rb"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)


class TraceContext(NamedTuple):
    """A place in a trace: the identifiers in lower-case hexadecimal, and the tracestate as it came, or b''."""

    trace_id: str
    span_id: str
    sampled: bool
    tracestate: bytes = b""

    def headers(self) -> list[Header]:
        """The headers that carry this context."""
        parent: Header = (TRACEPARENT, f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}".encode())
        return [parent, (TRACESTATE, self.tracestate)] if self.tracestate else [parent]


def read_context(headers: Sequence[Header]) -> TraceContext | None:
    """The trace context in a record's headers, or None. Of several, the last counts, as for Kafka's own clients."""
    parent = state = None
    for name, value in headers:
        if name == TRACEPARENT:
            parent = value
        elif name == TRACESTATE:
            state = value
    match = _TRACEPARENT.fullmatch(parent) if parent is not None else None
    if match is None or (match[1] == b"00" and match[5] is not None):
        return None
    sampled = bool(int(match[4], 16) & SAMPLED)
    return TraceContext(match[2].decode(), match[3].decode(), sampled, _valid_tracestate(state))


def without_context(headers: Sequence[Header]) -> list[Header]:
    """The headers without those of a trace context."""
    return [header for header in headers if header[0] not in {TRACEPARENT, TRACESTATE}]


def _valid_tracestate(state: bytes | None) -> bytes:
    """The tracestate, or b'' where it is missing, malformed or too long."""
    if not state or len(state) > MAX_TRACESTATE_BYTES:
        return b""
    members = [member.strip(b" \t") for member in state.split(b",")]
    keys = {member.partition(b"=")[0] for member in members}
    is_valid = len(members) <= MAX_TRACESTATE_MEMBERS and len(keys) == len(members)
    return b",".join(members) if is_valid and all(map(_MEMBER.fullmatch, members)) else b""
