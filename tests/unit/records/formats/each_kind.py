"""A topic of each kind of payload, and what is read of a value on it."""

from __future__ import annotations

import json
from typing import Any

from worker.records.codec import Codec
from worker.records.types import InputText, Skipped
from worker.settings import load_settings

NOW_MS = 1_795_000_000_000
EACH_KIND: dict[str, Any] = {
    "j": {"skip": [{"path": "a.*.b", "values": [1, "x"]}, {"path": ["c", "d"], "pattern": "RT"}], "html": True},
    "t": "text",
    "c": "confluent-json",
    "p": "debezium",
    "n": {"time_format": ["%d/%m/%Y", "epoch_us"], "key_format": "long"},
}
CODEC = Codec(load_settings(topics=tuple(EACH_KIND), payloads=EACH_KIND, fields={"n": {"text": ["a.*.b", "c", "0.d"]}}))


def decode(value: bytes | dict[str, Any], topic: str) -> InputText | Skipped:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return CODEC.decode(topic, b"12345678", body, 0, 0, NOW_MS)


def text_of(value: bytes | dict[str, Any], topic: str) -> str:
    found = decode(value, topic)
    assert isinstance(found, InputText)
    return found.text
