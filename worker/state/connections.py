"""Connections to Redis that are closed while somebody writes to them.

A task that closes the client (a cluster's looks for its nodes again) takes the connection from under another that
uses it, and a server may close one that lay idle. redis-py 8.1 then lets what the transport raises out of it (its
issues 3546 and 4287), which no caller could tell from a fault of ours.
"""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.exceptions import ConnectionError as RedisConnectionError

# What writing raises without a transport (AttributeError), or where it has lost its socket: in uvloop a RuntimeError,
# in asyncio by the version of Python.
_NO_TRANSPORT = (AttributeError, RuntimeError, TypeError)


class _NamesItsLoss:
    """A connection whose loss is a ConnectionError of redis-py, whichever way it shows."""

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        try:
            await super().send_packed_command(command, check_health)  # type: ignore[misc]  # the connection's own
        except _NO_TRANSPORT as error:
            raise RedisConnectionError("the connection was closed while it was written to") from error


def name_losses(client: Redis | RedisCluster | Sentinel) -> None:
    """Let each connection that `client` makes from here on raise a ConnectionError where it was closed meanwhile."""
    # The clients of a cluster and of Sentinels take no class of connections; their parts have it as an attribute.
    if isinstance(client, RedisCluster):
        client.connection_kwargs["connection_class"] = _naming(client.connection_kwargs["connection_class"])
        for node in client.startup_nodes:
            node.connection_class = _naming(node.connection_class)
        return
    for one in client.sentinels if isinstance(client, Sentinel) else [client]:
        one.connection_pool.connection_class = _naming(one.connection_pool.connection_class)


def _naming(connection_class: type[Any]) -> type[Any]:
    return type(connection_class.__name__, (_NamesItsLoss, connection_class), {})
