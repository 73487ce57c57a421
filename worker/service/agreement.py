"""Reports how often a shadow and the group that it follows agree, and where they differ."""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from worker.errors import SentimentError
from worker.monitoring.metrics import Metrics
from worker.settings import Settings
from worker.tools.comparison.publisher import ComparisonPublisher
from worker.tools.comparison.topics import follow

logger = logging.getLogger(__name__)

_RATIO_RECORDS = 10_000
_RETRY_S = 30.0


async def report_agreement(settings: Settings, metrics: Metrics, publisher: ComparisonPublisher) -> None:
    """For ever. `settings` are those of the group that is followed.

    Neither a metric nor a comparison is worth the process: what keeps it from reading the events or from publishing is
    logged, and tried again.
    """
    while True:
        try:
            await publisher.start()
            await _report(settings, metrics, publisher)
        except SentimentError as error:
            logger.warning("no agreement is reported: %s", error, extra={"action": "no_agreement"})
            await asyncio.sleep(_RETRY_S)


async def _report(settings: Settings, metrics: Metrics, publisher: ComparisonPublisher) -> None:
    agreeing = deque[bool](maxlen=_RATIO_RECORDS)
    async for pairs in follow(settings):
        agreeing.extend(pair.agrees for pair in pairs)
        if agreeing:
            metrics.agreement(sum(agreeing) / len(agreeing))
        await publisher.add(pairs)
