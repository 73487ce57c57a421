"""Shows one stream's state in Redis, and erases it through a record in Kafka, so that a replay erases it too."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from msgspec import Struct

from model import load_checkpoint
from worker.errors import RecordError, SentimentError, TopicsError
from worker.kafka.access.probe import kafka_trouble
from worker.kafka.access.rights import Rights, check_rights
from worker.kafka.brokers import Brokers
from worker.kafka.clients import client_options
from worker.kafka.log import Log
from worker.records.codec import format_time
from worker.records.keys import encode_stream_key
from worker.records.types import EventMood, TopicPartition
from worker.settings import Settings
from worker.state.causes import redis_away
from worker.state.clients import REDIS_ERRORS
from worker.state.entry import StreamEntry
from worker.state.store import StateStore


class NetworkView(Struct):
    """The network's state: texts read, the norms of its vectors, and whether its last text is unfinished."""

    num_texts: int
    hidden_norm: float
    cell_norm: float
    has_open_text: bool


class EntryView(Struct):
    """A stream's entry for people; see worker/state/entry.py."""

    num_records: int
    time: str
    mood: EventMood | None
    network: NetworkView
    reset: str | None


class StreamView(Struct):
    """A stream's entry in Redis, with the owner, position and lineage of its partition; see worker/state/store.py."""

    stream: str
    topic: str
    partition: int
    owner: str
    position: int | None
    lineage: str
    entry: EntryView


async def show_state(settings: Settings, topic: str, stream: str) -> StreamView:
    """The state of `stream` at its last flush.

    Raises SentimentError when Redis has none, TopicsError when the topic is missing, DependencyError when a server does
    not answer.
    """
    num_partitions = await _count_partitions(settings, topic, Rights(describes=(topic,)))
    checkpoint = load_checkpoint(settings.checkpoint)
    fingerprint = checkpoint.fingerprint_in(settings.precision)
    store = StateStore(settings, checkpoint.config, fingerprint)
    try:
        for number in range(num_partitions):
            found = await store.find(TopicPartition(topic, number), stream)
            if found is not None:
                owner, lineage, position = found.fence
                return StreamView(stream, topic, number, owner, position, lineage, _view(found.entry))
    except REDIS_ERRORS as error:
        raise redis_away(settings, error) from error
    finally:
        await store.close()
    raise SentimentError(
        f"Redis has no state of stream {stream!r} in {topic} for group {settings.group!r} and model {checkpoint.name} "
        f"({fingerprint}); a state appears up to flush_interval_s after its first event"
    )


async def erase_state(settings: Settings, topic: str, stream: str) -> tuple[int, int]:
    """Send a null value for `stream` to `topic`; returns the partition and offset of that record.

    The key decides the partition, as it does in Kafka's own clients. Raises SentimentError when no key of the topic's
    format names the stream, TopicsError when the topic is missing, DependencyError when Kafka does not answer.
    """
    try:
        key = encode_stream_key(stream, settings.payload_of(topic)[0].key_format)
    except RecordError as error:
        raise SentimentError(f"{topic}: {error}") from error
    await _count_partitions(settings, topic, Rights(writes=(topic,)))
    producer: Any = AIOKafkaProducer(**client_options(settings), enable_idempotence=True)
    try:
        await asyncio.wait_for(producer.start(), settings.request_timeout_s)
        sent = await asyncio.wait_for(producer.send_and_wait(topic, None, key), settings.request_timeout_s)
    except (KafkaError, OSError, TimeoutError) as error:
        raise await kafka_trouble(settings, error) from error
    finally:
        await producer.stop()
    return sent.partition, sent.offset


async def _count_partitions(settings: Settings, topic: str, rights: Rights) -> int:
    async with Brokers(settings) as brokers:
        await check_rights(settings, brokers, rights)
        counts = await Log(settings, brokers).partition_counts([topic])
        names = await brokers.topics()
    if topic not in counts:
        there = sorted(name for name in names if not name.startswith("__"))
        raise TopicsError(f"there is no topic {topic}; there are {', '.join(there) or 'none'}")
    return counts[topic]


def _view(entry: StreamEntry) -> EntryView:
    state, mood = entry.state, entry.mood
    return EntryView(
        num_records=entry.num_records,
        time=format_time(entry.time_ms),
        mood=EventMood(mood.score, mood.magnitude, mood.num_records) if mood else None,
        network=NetworkView(
            state.num_texts,
            float(np.linalg.norm(state.hidden)),
            float(np.linalg.norm(state.cell)),
            state.open_text is not None,
        ),
        reset=entry.reset,
    )
