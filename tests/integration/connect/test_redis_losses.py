"""A connection to Redis that one task closes while another uses it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import uvloop
from redis.asyncio import RedisCluster, SentinelConnectionPool

from tests.integration.connect.redis_kinds import KINDS, Servers
from worker.settings import load_settings
from worker.state.clients import REDIS_ERRORS, connect


async def connections_of(client: Any) -> list[Any]:
    """A connection of each way in which the client makes them; one to a cluster also to a node that it found itself."""
    if isinstance(client, RedisCluster):
        nodes = [*client.startup_nodes, *(await client.initialize()).get_nodes()]
        return [node.acquire_connection() for node in nodes]
    pools = [client.connection_pool]
    if isinstance(client.connection_pool, SentinelConnectionPool):
        pools += [one.connection_pool for one in client.connection_pool.sentinel_manager.sentinels]
    return [await pool.get_connection() for pool in pools]


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("kind", KINDS)
def test_who_writes_to_a_connection_that_another_task_closes_is_told_that_it_is_lost(
    servers: Servers, kind: str, run: Callable[[Any], Any]
) -> None:
    async def scenario() -> None:
        client = connect(load_settings(**servers.reach(kind)))
        for connection in await connections_of(client):
            await connection.connect()
            # The command is written in a task of its own, which begins after the other one has closed.
            calls = (connection.send_command("PING"), connection.disconnect(nowait=True))
            answer, _ = await asyncio.gather(*calls, return_exceptions=True)
            assert isinstance(answer, REDIS_ERRORS), repr(answer)
        assert await client.ping()
        await client.aclose()

    run(scenario())
