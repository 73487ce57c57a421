"""The targets by name, and the bytes that each begins with."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final, NamedTuple

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder

from tests.factories.partitions import new_entry
from tests.fuzz import payload_targets, text_targets
from tests.fuzz.payload_targets import AVRO
from tests.fuzz.text_targets import FINGERPRINT

_TEXT: Final = (
    "Great flight, thanks! #SoHappy :-) <br/> &amp;lt; http://a.b/c @you 10/10 sooo \u7535\u5f71 \U0001f602\u200d"
)
_ENTRY: Final = new_entry(3).to_bytes(FINGERPRINT)
_PAYLOADS: Final = (
    b'\x00\x01k{"text":"great","id":1e9,"time":1.5,"stream":"s","final":"no"}',
    b"\x01\x01ksome text",
    b'\x02\x01k\x00\x00\x00\x00\x01{"text":"great"}',
    b'\x03\x01k{"id_str":"1","user":{"id":7},"full_text":"RT @","created_at":"Wed Oct 10 20:19:24 +0000 2018"}',
    b'\x00\x00"{\\"text\\":NaN,\\"a\\":[[[[]]]]}"',
    b'\x0b\x00{"payload":{"op":"c","after":{"text":"a"}}}',
)
_AVRO_VALUE: Final = b"\x02\x06abc\x00\x00\x00"
_RESPONSES: Final = (
    b"\x00" * 20,
    b"\x02\0\0\0\0\2\2\1h\0\0#\x84\0\0\0\0\0",
    b"\x01\0\0\0\0\2\2t\2\0\0\0\0\0\0\0\0\0",
)


def _batch(codec: int) -> bytes:
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 20)
    for offset in range(3):
        builder.append(offset, 0, b"key", b'{"text":"great"}' * 9, [("name", b"value")])
    return bytes(builder.build())


def _old_batch(codec: int) -> bytes:
    builder = LegacyRecordBatchBuilder(1, codec, 1 << 20)
    for offset in range(3):
        builder.append(offset, 0, b"key", b'{"text":"great"}')
    return bytes(builder.build())


_BATCHES: Final = (
    *map(_batch, range(5)),
    _batch(0).replace(b"name", b"n\xffme"),
    *map(_old_batch, range(4)),
)


class Target(NamedTuple):
    """run: raises nothing, whatever the bytes."""

    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]


TARGETS: Final[dict[str, Target]] = {
    "payload": Target(payload_targets.payload, _PAYLOADS),
    "avro_value": Target(payload_targets.avro_value, (_AVRO_VALUE, b"\x00\x02\x04\x00\x02\x02k\x00\x00")),
    "avro_schema": Target(
        payload_targets.avro_schema, (json.dumps(AVRO).encode() + b"\0" + _AVRO_VALUE, b'"string"\0\x02a')
    ),
    "protobuf_value": Target(
        payload_targets.protobuf_value,
        (b"\x00\x0a\x03abc\x12\x05\x0a\x03abc", b"\x04\x00\x00\x08\x01", b"\x002\x07\x0a\x05\x0a\x01a\x12\x00"),
    ),
    "headers": Target(
        payload_targets.headers, (b"a\0b\0sentiment-reason\0x\0original-a\0\xff\0sentiment-redriven\0007",)
    ),
    "batch": Target(payload_targets.batch, _BATCHES),
    "response": Target(payload_targets.response, _RESPONSES),
    "tokenizer": Target(text_targets.tokenizer, tuple(bytes([kind, 99]) + _TEXT.encode() for kind in range(4))),
    "entry": Target(text_targets.entry, (b"\0" + _ENTRY, b"\1" + _ENTRY[:-4])),
    "meta": Target(text_targets.meta, (b"7\x000a1b~moved\0sentiment:1:m:0\0c/1\x004\0g:1:a:0\x002",)),
    "times": Target(
        text_targets.times,
        (b"\x002018-07-07T22:09:11.5+02:00", b"\x00Sat, 07 Jul 2018 22:09:11 GMT", b"\x0a1530000000000"),
    ),
    "page": Target(text_targets.page, (b"<b>\0positive\0<script>x</script>", b'"><img onerror=x>\0\0&lt;')),
}
