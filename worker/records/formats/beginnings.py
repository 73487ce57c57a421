"""What a value is that is no JSON, by its first bytes: for people, who have to set a format or ask a producer."""

from __future__ import annotations

from typing import Final

from worker.records.formats.frame import is_framed, schema_id_of, unframe

_BEGINNINGS: Final = (
    (b"\x1f\x8b", "it is packed with gzip by its producer, which Kafka's own compression makes needless"),
    (b"\x28\xb5\x2f\xfd", "it is packed with zstd by its producer, which Kafka's own compression makes needless"),
    (b"\x04\x22\x4d\x18", "it is packed with lz4 by its producer, which Kafka's own compression makes needless"),
    (b"\xac\xed\x00\x05", "it is an object of Java's serialization; have its producer write JSON"),
    (b"\xc3\x01", "it is Avro with a fingerprint in place of the id of a schema registry"),
    (b"Obj\x01", "it is an Avro file"),
    (b"\x03\x00", "it may have the header of AWS Glue's schema registry, which is read in front of JSON alone"),
    (b"<", "it begins as XML"),
)


def describe_beginning(value: bytes) -> str:
    """A hint at the end of an error message; '' where nothing is known."""
    if is_framed(value) and not unframe(value).lstrip().startswith((b"{", b"[")):
        schema_id = schema_id_of(value)
        return f"; it has Confluent's frame of schema {schema_id}: set the topic's format to avro or protobuf"
    return next((f"; {what}" for begins, what in _BEGINNINGS if value.startswith(begins)), "")
