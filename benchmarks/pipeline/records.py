"""The records that the programs read: simulated tweets, fixed by a seed."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice

from tests import kafka_tools
from worker.monitoring.tracing.context import TraceContext
from worker.settings import load_settings
from worker.stack import LocalStack
from worker.tools.feed import send_feed
from worker.tools.simulate import Feed, FeedRecord

SEED = 1
NUM_PARTITIONS = 4
EVENT_RATE = 300.0  # tweets a second of event time


@dataclass(frozen=True)
class Backlog:
    """A topic, and the number of its records."""

    topic: str
    num_records: int


def produce(stack: LocalStack, num_records: int, num_streams: int) -> Backlog:
    """Produce the first `num_records` tweets of a feed with about `num_streams` accounts to a new topic."""
    topic = f"tweets.{uuid.uuid4().hex[:8]}"
    kafka_tools.create_topics(stack.kafka, {topic: NUM_PARTITIONS})
    produce_to(stack, topic, num_records, num_streams)
    return Backlog(topic, num_records)


def produce_with_contexts(stack: LocalStack, num_records: int, num_streams: int) -> Backlog:
    """The same tweets, each with a trace context of its own that is sampled."""
    topic = f"tweets.{uuid.uuid4().hex[:8]}"
    kafka_tools.create_topics(stack.kafka, {topic: NUM_PARTITIONS})
    records = islice(tweets(topic, num_streams, time.time() - num_records / EVENT_RATE), num_records)
    kafka_tools.produce(stack.kafka, topic, map(_with_context, count(1), records))
    return Backlog(topic, num_records)


def _with_context(number: int, record: FeedRecord) -> kafka_tools.Keyed:
    context = TraceContext(f"{number:032x}", f"{number:016x}", sampled=True)
    headers = tuple((name, value or b"") for name, value in context.headers())
    return kafka_tools.Keyed(record.key, record.value, headers=headers)


def produce_to(stack: LocalStack, topic: str, num_records: int, num_streams: int) -> None:
    """The same to a topic that exists."""
    settings = load_settings(kafka=stack.kafka, topics=(topic,))
    records = islice(tweets(topic, num_streams, time.time() - num_records / EVENT_RATE), num_records)
    num_sent = asyncio.run(send_feed(settings, records, None, asyncio.Event()))
    assert num_sent == num_records


def tweets(topic: str, num_streams: int, start_s: float, rate: float = EVENT_RATE) -> Iterator[FeedRecord]:
    """An endless feed of tweets from about `num_streams` accounts, each tweet with an id of its own.

    start_s, rate: time of the first tweet, and tweets a second after it, both in event time.
    """
    # a third of the feed's streams are reviews, which are left out
    feed = Feed(
        SEED,
        num_streams=num_streams * 3 // 2,
        rate=rate * 1.5,
        topics=(topic, "reviews"),
        start_ms=int(1000 * start_s),
    )
    return (record for record in feed if record.topic == topic)
