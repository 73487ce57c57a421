"""What a feed logs: what it refuses, what it skips, and how far it is."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator

from worker.tools.simulate import FeedRecord

logger = logging.getLogger(__name__)

REPORT_INTERVAL_S = 2.0

Placed = tuple[FeedRecord, str]
"""A record and where it came from: file and line, or nothing."""


class Refusals:
    """Logs what is refused, and counts it."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self.number = 0

    def __call__(self, message: str) -> None:
        """Log `message`, which names a record and why it is refused."""
        self.number += 1
        logger.error("%s", message, extra={"action": "feed_refused", "topic": self._topic})


def log_skipped(number: int, topic: str) -> None:
    """Log how many records the topic's rules skip, if any."""
    if number:
        extra = {"action": "feed_skipped", "topic": topic}
        logger.warning("%d records were left out, as the rules of %s skip them", number, topic, extra=extra)


def log_how_far(num_sent: int, last_place: str, topic: str) -> None:
    """Log that the feed ended early, and which record was the last that Kafka has."""
    where = f", the last of them {last_place}" if last_place else ""
    extra = {"action": "feed_stopped", "topic": topic}
    logger.warning("stopped early: Kafka has %d records%s", num_sent, where, extra=extra)


def reporting(records: Iterable[Placed], topic: str, *, is_quiet: bool) -> Iterator[Placed]:
    """Pass the records through, and log their number at the end and, unless `is_quiet`, every REPORT_INTERVAL_S."""
    reported = time.monotonic()
    num_read = 0
    for num_read, placed in enumerate(records, start=1):
        yield placed
        if not is_quiet and time.monotonic() - reported >= REPORT_INTERVAL_S:
            reported = time.monotonic()
            logger.info("fed %d records to %s", num_read, topic, extra={"action": "feed", "topic": topic})
    logger.info("fed %d records to %s, the end", num_read, topic, extra={"action": "feed", "topic": topic})
