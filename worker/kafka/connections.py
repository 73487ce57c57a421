"""Connections to Kafka that are lost while somebody writes to them.

uvloop raises a RuntimeError where a transport is written to that has lost its socket. aiokafka 0.14 expects an OSError
and lets it out (its issue 1038), which no caller could tell from a fault of ours.
"""

from __future__ import annotations

from typing import Any

from aiokafka import conn
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError


class NamedConnection(AIOKafkaConnection):  # type: ignore[misc]  # aiokafka has no types
    """A connection whose loss is a KafkaConnectionError, whichever way it shows."""

    def send(self, request: Any, expect_response: bool = True) -> Any:
        """As aiokafka has it. Raises KafkaConnectionError where the connection is lost."""
        try:
            return super().send(request, expect_response)
        except NotImplementedError:  # which is a RuntimeError, too: no version of the request fits the broker
            raise
        except RuntimeError as error:
            raise self._lost(error) from error

    def _send_sasl_token(self, payload: bytes, expect_response: bool = True) -> Any:
        try:
            return super()._send_sasl_token(payload, expect_response)
        except RuntimeError as error:
            raise self._lost(error) from error

    def _lost(self, error: RuntimeError) -> KafkaConnectionError:
        self.close(reason=CloseReason.CONNECTION_BROKEN)
        return KafkaConnectionError(f"Connection at {self.host}:{self.port} broken: {error}")


def name_losses() -> None:
    """Make all of aiokafka's connections so."""
    conn.AIOKafkaConnection = NamedConnection
