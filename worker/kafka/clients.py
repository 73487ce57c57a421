"""Connections to Kafka: what every client is given."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from worker.kafka.access.security import kafka_python_security, security_options
from worker.kafka.connections import name_losses
from worker.settings import Settings

name_losses()

_FAREWELL_S = 0.2


def client_options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments that every aiokafka client of this process is made with."""
    return _connection(settings) | security_options(settings)


def kafka_python_options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments that every client of kafka-python is made with."""
    return _connection(settings) | {"bootstrap_servers": settings.kafka.split(",")} | kafka_python_security(settings)


def _connection(settings: Settings) -> dict[str, Any]:
    return {"bootstrap_servers": settings.kafka, "request_timeout_ms": int(settings.request_timeout_s * 1000)}


async def stop_consumer(consumer: Any, stopping: Coroutine[Any, Any, None]) -> None:
    """Await `stopping`, which stops an aiokafka consumer, and cut its connections once they are closed on this side.

    A broker that holds an answer back, as to a fetch, does not answer the farewell of TLS either; uvloop would wait
    for it for 30 s.
    """
    task = asyncio.ensure_future(stopping)
    while not (await asyncio.wait([task], timeout=_FAREWELL_S))[0]:
        for connection in consumer._client._conns.values():
            transport = connection._protocol._transport
            if not connection.connected() and transport is not None:
                transport.abort()
    if task.cancelled():
        # aiokafka cancels a fetch that waits for a broker that is away, and stops no further where that ends it.
        await consumer._client.close()
    else:
        await task
