"""Confluent's client of a schema registry, as the tests use it."""

from __future__ import annotations

from confluent_kafka.schema_registry import SchemaRegistryClient

_TIMEOUT_S = 30


def registry_client(url: str) -> SchemaRegistryClient:
    """A client whose every wait ends: without a timeout it waits for an answer for ever."""
    return SchemaRegistryClient({"url": url, "timeout": _TIMEOUT_S, "max.retries": 3})
