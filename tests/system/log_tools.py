"""Changes to the group's offsets and to the log, as an operator or another program makes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import GroupSubscribedToTopicError, NoError, NonEmptyGroupError, UnknownMemberIdError
from kafka.structs import OffsetAndMetadata

from tests.kafka_tools import TIMEOUT_S
from tests.system.inputs import Input
from worker.settings import Settings

POLL_S = 0.2
HAS_MEMBERS = (GroupSubscribedToTopicError, NonEmptyGroupError, UnknownMemberIdError)

Offsets = Mapping[tuple[str, int], int]


def forget_offsets(settings: Settings, partitions: Iterable[tuple[str, int]]) -> None:
    """Delete the group's offsets, as the broker does when they expire. Its last member must be about to leave."""
    tps = [TopicPartition(*place) for place in partitions]
    with KafkaAdminClient(bootstrap_servers=settings.kafka.split(",")) as admin:
        _once_it_is_empty(lambda: admin.delete_group_offsets(settings.group, tps))


def move_offsets(settings: Settings, offsets: Offsets) -> None:
    """Set the group's offsets. Its last member must be about to leave."""
    moved = {TopicPartition(*place): OffsetAndMetadata(offset, "", -1) for place, offset in offsets.items()}
    with KafkaAdminClient(bootstrap_servers=settings.kafka.split(",")) as admin:
        _once_it_is_empty(lambda: admin.alter_group_offsets(settings.group, moved))


def _once_it_is_empty(change: Callable[[], Mapping[TopicPartition, Any]]) -> None:
    """Make the change, and retry while the group has members: one that did not leave cleanly stays for its session."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            errors = {error for error in change().values() if error is not NoError}
        except HAS_MEMBERS as error:
            errors = {type(error)}
        if not errors:
            return
        assert errors <= set(HAS_MEMBERS), errors
        assert time.monotonic() < deadline, errors
        time.sleep(POLL_S)


def offsets_since(settings: Settings, topic: str, time_ms: int) -> Offsets:
    """The first offset of each partition from a time on, as `--reset-offsets --to-datetime` finds it; else its end."""
    tps = [TopicPartition(topic, number) for number in range(settings.partitions)]
    with KafkaConsumer(bootstrap_servers=settings.kafka.split(",")) as consumer:
        found = consumer.offsets_for_times(dict.fromkeys(tps, time_ms))
        ends = consumer.end_offsets(tps)
    return {(tp.topic, tp.partition): found[tp].offset if found[tp] else ends[tp] for tp in tps}


def delete_records(settings: Settings, offsets: Offsets) -> None:
    """Delete the records below these offsets, as retention does."""
    with KafkaAdminClient(bootstrap_servers=settings.kafka.split(",")) as admin:
        admin.delete_records({TopicPartition(*place): offset for place, offset in offsets.items()})


def send_aborted(settings: Settings, topic: str, inputs: Iterable[Input]) -> None:
    """Produce the inputs in a transaction that is aborted."""
    with KafkaProducer(bootstrap_servers=settings.kafka.split(","), transactional_id=f"{topic}-aborted") as producer:
        producer.init_transactions()
        producer.begin_transaction()
        for one in inputs:
            record = one.keyed(settings.partitions)
            producer.send(topic, record.value, record.key, partition=record.partition, timestamp_ms=record.timestamp_ms)
        producer.flush(TIMEOUT_S)
        producer.abort_transaction()
