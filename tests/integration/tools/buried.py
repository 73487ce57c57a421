"""Records that cannot be scored, buried as a worker does it, then listed and redriven."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from kafka import KafkaAdminClient
from kafka.errors import NoError

from tests.kafka_tools import delete_topics, read_to_end
from tests.workplace import Workplace
from worker.errors import Reason, RecordError
from worker.kafka.brokers import Brokers
from worker.kafka.group_offsets import GroupOffset
from worker.kafka.producer import ProducerRecord
from worker.kafka.transaction import TransactionalProducer
from worker.process import CrashPoints
from worker.records.headers import deadletter_headers
from worker.records.types import TopicPartition as InputPartition
from worker.tools.deadletters import DeadLetter, list_deadletters
from worker.tools.redrive import RedriveSummary, redrive

TIME_MS = 1_790_000_000_123
FORGET_TIMEOUT_S = 120


class Bad(NamedTuple):
    """A record that cannot be scored."""

    reason: Reason
    value: bytes | None
    key: bytes | None = b"@acme"
    headers: Sequence[tuple[str, bytes | None]] = ()


NO_TEXTS = [Bad(Reason.NO_TEXT, f"no text {n}".encode()) for n in range(4)]
POISONS = [Bad(Reason.POISON, f"poison {n}".encode()) for n in range(3)]
MIXED = [NO_TEXTS[0], POISONS[0], NO_TEXTS[1], NO_TEXTS[2], POISONS[1], NO_TEXTS[3], POISONS[2]]


def bury(workplace: Workplace, bad: Iterable[Bad], partition: int = 0, first_offset: int = 0) -> None:
    """Write dead letters for `bad` records of the first input topic, each in its own transaction."""

    async def publish() -> None:
        settings, tp = workplace.settings, InputPartition(workplace.topic, partition)
        async with Brokers(settings) as brokers:
            producer = TransactionalProducer(settings, brokers, f"{settings.group}.buries", CrashPoints(None))
            await producer.start()
            for offset, one in enumerate(bad, start=first_offset):
                error = RecordError(one.reason, f"because of {one.reason}")
                headers = deadletter_headers(one.headers, error, workplace.topic, partition, offset, TIME_MS + offset)
                letter = ProducerRecord(settings.deadletters_topic, partition, one.key, one.value, headers)
                await producer.commit([letter], {tp: GroupOffset(offset + 1)}, settings.group)

    asyncio.run(publish())


def listed(workplace: Workplace, *reasons: Reason) -> list[DeadLetter]:
    async def collect() -> list[DeadLetter]:
        return [letter async for letter in list_deadletters(workplace.settings, reasons)]

    return asyncio.run(collect())


def redriven(workplace: Workplace, *reasons: Reason) -> RedriveSummary:
    return asyncio.run(redrive(workplace.settings, reasons))


def returned(workplace: Workplace) -> list[bytes | None]:
    """The values that came back to the input topic, in order."""
    return [record.value for record in read_to_end(workplace.settings.kafka, workplace.topic)]


def delete(workplace: Workplace, topic: str) -> None:
    """Delete a topic, and wait until the broker no longer knows it."""
    delete_topics(workplace.settings.kafka, [topic])
    with KafkaAdminClient(bootstrap_servers=workplace.settings.kafka) as admin:
        deadline = time.monotonic() + FORGET_TIMEOUT_S
        while admin.describe_topics([topic])[0]["error_code"] == NoError.errno:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def values(bad: Iterable[Bad]) -> list[bytes | None]:
    return [one.value for one in bad]
