"""The Faust app whose agents receive MicroBatches, with our consumer in Faust's aiokafka transport."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import faust
from faust.transport.drivers import aiokafka as driver

from worker.errors import DependencyError
from worker.kafka.transport.assignment import PartitionHandler
from worker.kafka.transport.consumer import BatchConsumer
from worker.kafka.transport.microbatch import BatchLimits, Pacing, Records
from worker.process import die
from worker.records.types import TopicPartition


class BatchTransport(driver.Transport):
    """Faust's aiokafka transport with our consumer."""

    Consumer = BatchConsumer


class BatchApp(faust.App):
    """A Faust app whose agents receive MicroBatches.

    preflight: awaited before anything else starts, to raise an error where the worker cannot run.
    """

    consumer: BatchConsumer

    def __init__(
        self,
        id: str,
        *,
        handler: PartitionHandler,
        limits: BatchLimits,
        pacing: Pacing,
        preflight: Callable[[], Awaitable[None]],
        **options: Any,
    ) -> None:
        self.handler = handler
        self.limits = limits
        self.pacing = pacing
        self._preflight = preflight
        super().__init__(id, **options)

    def _new_transport(self) -> BatchTransport:
        return BatchTransport(self.conf.broker_consumer, self, loop=self.loop)

    def _on_rebalance_when_stopped(self) -> None:
        # Faust would close the consumer under the drain that is going on.
        self.log.info("a rebalance while stopping is left to the others")

    async def on_first_start(self) -> None:
        """Look at the servers first. An error ends the process, unless it comes of a stop that was asked for."""
        try:
            await self._preflight()
        except Exception as error:
            # A stop that comes now cancels a request, which then looks like a server that hung up.
            if not (self.should_stop and isinstance(error, DependencyError)):
                die(error)
        await super().on_first_start()

    def done(self, records: Records) -> None:
        """See BatchConsumer.done."""
        self.consumer.done(records)

    async def reseek(self) -> None:
        """See BatchConsumer.reseek."""
        await self.consumer.reseek()

    def idle_positions(self) -> dict[TopicPartition, int]:
        """See BatchConsumer.idle_positions."""
        return self.consumer.idle_positions()
