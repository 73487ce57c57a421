"""Reads all topics into the LiveView, and asks for the lag and the worker's health. Reconnects by itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

import aiohttp
from aiokafka.errors import KafkaError

from worker.errors import SentimentError
from worker.kafka.brokers import Brokers
from worker.kafka.group import Group
from worker.kafka.log import Log
from worker.kafka.protocol.batches import unpacking
from worker.page.live.live_view import LiveView
from worker.records.types import TopicPartition
from worker.settings import Settings
from worker.tools.tail import open_reader

logger = logging.getLogger(__name__)

RETRY_S: Final = 2.0
_WELL_S: Final = 60.0
"""A step that went on for so long had connected, so that its error is news."""
_POLL_MS: Final = 200
_MAX_RECORDS: Final = 500
_MAX_BEHIND: Final = 20_000
"""A page that is further behind in a partition goes on at its end."""

Step = Callable[[], Coroutine[Any, Any, None]]


class Reader:
    """Keeps `live` up to date until it is cancelled. The rest are its latest answers, for the view of the health."""

    def __init__(self, settings: Settings, live: LiveView) -> None:
        self._settings = settings
        self._live = live
        self._positions: dict[Any, int] = {}
        self.kafka_problem: str | None = "not connected yet"
        self.lag: int | None = None
        self.health: dict[str, Any] | None = None  # of /ready; None: the worker does not answer
        self.num_skipped = 0

    async def run(self) -> None:
        """Read, and ask, side by side."""
        async with asyncio.TaskGroup() as tasks:
            for step in (self._read, self._ask_for_lag, self._ask_for_health):
                tasks.create_task(self._repeated(step))

    async def _repeated(self, step: Step) -> None:
        """Repeat `step`, which ends by an error where a server goes away. The same error at each try is logged once."""
        said, clock = "", asyncio.get_running_loop().time
        while True:
            began_s = clock()
            try:
                await step()
            except (SentimentError, KafkaError, OSError, TimeoutError) as error:
                if str(error) != said or clock() - began_s > _WELL_S:
                    logger.info("the page reconnects: %s", error, extra={"action": "page_reconnect"})
                said = str(error)
                if step == self._read:
                    self.kafka_problem = str(error)
                elif step == self._ask_for_lag:
                    self.lag = None
            await asyncio.sleep(RETRY_S)

    async def _read(self) -> None:
        settings, live = self._settings, self._live
        topics = (*settings.topics, settings.events_topic, settings.shifts_topic, settings.deadletters_topic)
        async with open_reader(settings, topics, from_start=live.audit is not None) as consumer:
            for tp, position in self._positions.items():
                if tp in consumer.assignment():
                    consumer.seek(tp, position)
            self.kafka_problem = None
            while True:
                with unpacking(consumer):
                    fetched = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_MAX_RECORDS)
                for tp, records in fetched.items():
                    for record in records:
                        live.take(record)
                    self._positions[tp] = records[-1].offset + 1
                    if live.audit is None:
                        await self._skip_if_behind(consumer, tp)
                await asyncio.sleep(0)

    async def _skip_if_behind(self, consumer: Any, tp: Any) -> None:
        end, position = consumer.highwater(tp), self._positions[tp]
        if end is not None and end - position > _MAX_BEHIND:
            await consumer.seek_to_end(tp)
            self.num_skipped += end - position

    async def _ask_for_lag(self) -> None:
        settings = self._settings
        async with Brokers(settings) as brokers:
            log, group = Log(settings, brokers), Group(settings, brokers, settings.group)
            while True:
                counts = await log.partition_counts(settings.topics)
                tps = [TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)]
                ends = await log.ends(tps)
                offsets = (await group.offsets(tps, stable=False)).offsets
                committed = {tp: found.offset if (found := offsets.get(tp)) else 0 for tp in ends}
                self.lag = sum(max(0, end - committed[tp]) for tp, end in ends.items())
                await asyncio.sleep(RETRY_S)

    async def _ask_for_health(self) -> None:
        host = self._settings.health_host
        host = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - compared, not bound
        timeout = aiohttp.ClientTimeout(total=RETRY_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                try:
                    async with session.get(f"http://{host}:{self._settings.health_port}/ready") as response:
                        self.health = await response.json()
                except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
                    self.health = None
                await asyncio.sleep(RETRY_S / 2)

    def parts(self) -> list[tuple[str, bool, str]]:
        """Each part of the system, whether it is well, and a description."""
        kafka = ("Kafka, as the page sees it", self.kafka_problem is None, self.kafka_problem or "records are read")
        if self.health is None:
            return [kafka, ("worker", False, "does not answer")]
        checks = self.health.get("checks", {})
        return [kafka, *((f"worker: {name}", bool(one["ok"]), str(one["detail"])) for name, one in checks.items())]
