"""What an operator, or another program, does to the group's offsets and to the log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

from tests.kafka_tools import TIMEOUT_S
from tests.system.inputs import Input
from worker.settings import Settings

Offsets = Mapping[tuple[str, int], int]


def forget_offsets(settings: Settings, partitions: Iterable[tuple[str, int]]) -> None:
    """Delete the group's offsets, as the broker does when they expire. The group must have no members."""
    with KafkaAdminClient(bootstrap_servers=settings.kafka.split(",")) as admin:
        admin.delete_group_offsets(settings.group, [TopicPartition(*place) for place in partitions])


def move_offsets(settings: Settings, offsets: Offsets) -> None:
    """Set the group's offsets. The group must have no members."""
    moved = {TopicPartition(*place): OffsetAndMetadata(offset, "", -1) for place, offset in offsets.items()}
    with KafkaAdminClient(bootstrap_servers=settings.kafka.split(",")) as admin:
        admin.alter_group_offsets(settings.group, moved)


def delete_records(settings: Settings, offsets: Offsets) -> None:
    """Let the log of each partition begin at this offset, as retention does."""
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
