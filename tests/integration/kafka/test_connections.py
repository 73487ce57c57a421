"""A connection to a real Kafka that is lost while somebody writes to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import uvloop
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from tests.workplace import Workplace
from worker.kafka.brokers import Brokers, UnsupportedRequestError


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_who_asks_over_a_connection_that_was_lost_is_told_so_and_is_answered_over_the_next_one(
    workplace: Workplace, run: Callable[[Any], Any]
) -> None:
    async def scenario() -> None:
        request = MetadataRequest([])
        async with Brokers(workplace.settings) as brokers:
            assert (await brokers.ask_any(request)).brokers
            (connection,) = brokers._client._conns.values()
            connection._writer.transport.abort()
            await asyncio.sleep(0)  # the socket is gone then, which aiokafka learns later
            with pytest.raises(KafkaConnectionError):
                await connection.send(request)
            assert (await brokers.ask_any(request)).brokers

    run(scenario())


def test_a_request_of_which_no_version_fits_the_broker_is_told_from_a_loss(workplace: Workplace) -> None:
    async def scenario() -> None:
        request = MetadataRequest([])
        async with Brokers(workplace.settings) as brokers:
            await brokers.ask_any(request)
            (connection,) = brokers._client._conns.values()
            connection._versions = {request.API_KEY: (1000, 1000)}
            with pytest.raises(UnsupportedRequestError):
                await brokers.ask_any(request)
            assert connection.connected()

    asyncio.run(scenario())
