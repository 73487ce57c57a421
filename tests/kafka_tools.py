"""The tests' access to Kafka, through a client that the worker does not produce or consume with (kafka-python).

It reads committed records only, and every wait has a time limit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import CoordinatorNotAvailableError

TIMEOUT_S = 120.0
POLL_MS = 200


class Keyed(NamedTuple):
    """A record to produce. By default the key decides the partition, and the timestamp is now."""

    key: bytes | None
    value: bytes | None
    partition: int | None = None
    timestamp_ms: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


def produce(kafka: str, topic: str, records: Iterable[Keyed], timeout_s: float = TIMEOUT_S) -> list[tuple[int, int]]:
    """Send `records` to `topic` in order; returns the partition and offset of each, once all are acknowledged."""
    with KafkaProducer(bootstrap_servers=kafka.split(","), acks="all", linger_ms=5) as producer:
        futures = [
            producer.send(
                topic,
                key=record.key,
                value=record.value,
                partition=record.partition,
                timestamp_ms=record.timestamp_ms,
                headers=list(record.headers),
            )
            for record in records
        ]
        producer.flush(timeout_s)
        return [(sent.partition, sent.offset) for sent in (future.get(timeout_s) for future in futures)]


def read_to_end(kafka: str, *topics: str, timeout_s: float = TIMEOUT_S) -> list[Any]:
    """Every committed record of `topics` up to their current ends, in offset order within a partition.

    Raises TimeoutError when it does not reach the ends in time.
    """
    with _consumer(kafka, topics) as consumer:
        ends = consumer.end_offsets(consumer.assignment())
        return _read(consumer, lambda _: all(consumer.position(tp) >= end for tp, end in ends.items()), timeout_s)


def read_count(kafka: str, *topics: str, count: int, timeout_s: float = TIMEOUT_S) -> list[Any]:
    """At least `count` committed records of `topics`, from their beginnings.

    Raises TimeoutError, with the number of records found, when they do not arrive in time.
    """
    with _consumer(kafka, topics) as consumer:
        return _read(consumer, lambda records: len(records) >= count, timeout_s)


def each_to_end(kafka: str, *topics: str, timeout_s: float = TIMEOUT_S) -> Iterator[Any]:
    """The records of `read_to_end` one by one, for topics that do not fit into memory."""
    with _consumer(kafka, topics) as consumer:
        ends = consumer.end_offsets(consumer.assignment())
        deadline = time.monotonic() + timeout_s
        while any(consumer.position(tp) < end for tp, end in ends.items()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the ends of {', '.join(topics)} are not reached within {timeout_s} s")
            for batch in consumer.poll(timeout_ms=POLL_MS).values():
                yield from batch


def _consumer(kafka: str, topics: Sequence[str]) -> KafkaConsumer:
    consumer = KafkaConsumer(
        bootstrap_servers=kafka.split(","),
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        group_id=None,
        check_crcs=False,  # the broker has checked what it took; in Python it takes a minute a gigabyte
    )
    consumer.assign([TopicPartition(topic, p) for topic in topics for p in consumer.partitions_for_topic(topic)])
    consumer.seek_to_beginning()
    return consumer


def _read(consumer: KafkaConsumer, done: Callable[[list[Any]], bool], timeout_s: float) -> list[Any]:
    records: list[Any] = []
    deadline = time.monotonic() + timeout_s
    while not done(records):
        if time.monotonic() > deadline:
            raise TimeoutError(f"found only {len(records)} records within {timeout_s} s")
        for batch in consumer.poll(timeout_ms=POLL_MS).values():
            records += batch
    return records


def create_topics(kafka: str, partitions: dict[str, int], **configs: str) -> None:
    """Create each topic with its number of partitions, and wait until every partition has a leader."""
    with KafkaAdminClient(bootstrap_servers=kafka.split(",")) as admin:
        admin.create_topics(
            {name: {"num_partitions": number, "configs": configs} for name, number in partitions.items()},
            wait_for_metadata=True,
        )


def delete_topics(kafka: str, topics: Iterable[str]) -> None:
    """Delete those of `topics` that exist."""
    with KafkaAdminClient(bootstrap_servers=kafka.split(",")) as admin:
        there = [topic["name"] for topic in admin.describe_topics()]
        gone = sorted(set(topics) & set(there))
        if gone:
            admin.delete_topics(gone)


def ends(kafka: str, topic: str) -> dict[TopicPartition, int]:
    """The end of each partition of the topic, transaction markers included."""
    with _consumer(kafka, [topic]) as consumer:
        found: dict[TopicPartition, int] = consumer.end_offsets(consumer.assignment())
    return found


def committed(kafka: str, group: str) -> dict[TopicPartition, int]:
    """The offsets that the group has committed, without partitions that have none.

    A broker has no coordinator until it has made the topic of the offsets, which the first group asks for.
    """
    deadline = time.monotonic() + TIMEOUT_S
    with KafkaAdminClient(bootstrap_servers=kafka.split(",")) as admin:
        while True:
            try:
                offsets = admin.list_group_offsets(group)[group]
            except CoordinatorNotAvailableError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_MS / 1000)
            else:
                return {tp: entry.offset for tp, entry in offsets.items() if entry.offset >= 0}
