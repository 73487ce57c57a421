"""A codec of mapped and unmapped topics, and what becomes of a value with it: a text or a reason."""

import json
from typing import Any

from worker.errors import Reason, RecordError
from worker.payloads.payload import FieldPaths
from worker.records.codec import Codec
from worker.records.types import InputText
from worker.settings import load_settings

NOW_MS = 1_795_000_000_000
NESTED = FieldPaths(id="a.id", stream="a.stream", text="b.0.text", time="time", final="final")
CODEC = Codec(load_settings(topics=("tweets", "reviews", "nested"), fields={"nested": NESTED}, max_text_bytes=1000))


def decode(value: bytes | dict[str, Any], topic: str = "tweets", key: bytes | None = b"@acme") -> InputText:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    found = CODEC.decode(topic, key, body, partition=3, offset=42, timestamp_ms=NOW_MS)
    assert isinstance(found, InputText)
    return found


def outcome(value: bytes | dict[str, Any], topic: str = "tweets", key: bytes | None = b"@acme") -> InputText | Reason:
    try:
        return decode(value, topic, key)
    except RecordError as error:
        return error.reason
