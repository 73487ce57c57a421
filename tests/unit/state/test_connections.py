"""Connections to Redis that the server resets while they lie idle."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event
from typing import Any

import pytest
import uvloop

from worker.settings import load_settings
from worker.state.clients import REDIS_ERRORS, connect

HOST = "127.0.0.1"
TIMEOUT_S = 10.0
LOOK_S = 0.05
SEEN_S = 0.1  # until a reset has come to the other side


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(TIMEOUT_S)
        yield listener


def greet_and_reset(listener: socket.socket, greeted: Event) -> None:
    """Agree to whatever a client says until `greeted`; then close without a word, as a firewall does, by RST."""
    accepted, _ = listener.accept()
    accepted.settimeout(LOOK_S)
    while not greeted.is_set():
        with suppress(TimeoutError):
            accepted.sendall(b"+OK\r\n" * accepted.recv(1 << 16).count(b"*"))
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    accepted.close()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_who_writes_to_a_connection_that_was_reset_is_told_that_it_is_lost(
    listener: socket.socket, run: Callable[[Any], Any]
) -> None:
    async def scenario() -> None:
        client = connect(load_settings(redis=f"redis://{HOST}:{listener.getsockname()[1]}?protocol=2"))
        connection, greeted = client.connection_pool.make_connection(), Event()
        with ThreadPoolExecutor(1) as pool:
            server = pool.submit(greet_and_reset, listener, greeted)
            await connection.connect()
            greeted.set()
            server.result(TIMEOUT_S)
        await asyncio.sleep(SEEN_S)
        with pytest.raises(REDIS_ERRORS):
            await connection.send_command("PING")
        await client.aclose()

    run(scenario())
