"""Reports how often a shadow and the group that it follows agree."""

from __future__ import annotations

import asyncio
import logging

from worker.errors import SentimentError
from worker.monitoring.metrics import Metrics
from worker.settings import Settings
from worker.tools.comparison.topics import follow

logger = logging.getLogger(__name__)

_RETRY_S = 30.0


async def report_agreement(settings: Settings, metrics: Metrics) -> None:
    """For ever. `settings` are those of the group that is followed.

    A metric is not worth the process: what keeps it from reading the events is logged, and tried again.
    """
    while True:
        try:
            await follow(settings, metrics.agreement)
        except SentimentError as error:
            logger.warning("no agreement is reported: %s", error, extra={"action": "no_agreement"})
            await asyncio.sleep(_RETRY_S)
