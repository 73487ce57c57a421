"""What `sentiment check` finds out about Kafka: what the worker will do is done, and taken back."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from aiokafka.errors import for_code
from aiokafka.protocol.fetch import FetchRequest

from worker.errors import RecordError, SentimentError
from worker.kafka.access.preflight import check_kafka
from worker.kafka.brokers import Brokers
from worker.kafka.group import Group
from worker.kafka.log import Log
from worker.kafka.producer import FencedError
from worker.kafka.protocol.batches import unpacking_batch
from worker.kafka.protocol.parsing import TolerantRecords
from worker.kafka.transaction import TransactionalProducer
from worker.process import CrashPoints
from worker.records.codec import Codec
from worker.records.types import TopicPartition
from worker.settings import Settings

_CODECS = ("not compressed", "gzip", "snappy", "lz4", "zstd")
_MAX_BYTES = 1 << 20
_READ_UNCOMMITTED = 0
# A log may end in the markers of transactions, one offset each.
_MAX_MARKERS = 5
_MIN_SKEW_S = 5.0


class NewestRecord(NamedTuple):
    """A record, and the codec of the batch that it came in."""

    tp: TopicPartition
    record: Any
    codec: str


async def check_cluster(settings: Settings, brokers: Brokers) -> str:
    """Rights, a transaction that is begun and aborted, and who else is in the group. Answers this for people.

    Raises DependencyError, which names every missing right, and RefusedError.
    """
    await check_kafka(settings, brokers)
    parts = []
    outputs = await Log(settings, brokers).partition_counts(_outputs(settings))
    if settings.delivery == "exactly_once" and outputs:
        await _rehearse(settings, brokers, [TopicPartition(topic, 0) for topic in outputs])
        parts.append("a transaction begins and aborts")
    members = list((await Group(settings, brokers, settings.group).members()).values())
    others = f": {', '.join(sorted(members))}" if members else ""
    parts.append(f"group {settings.group} has {len(members)} members{others}")
    return "; ".join(parts)


async def describe_inputs(settings: Settings, brokers: Brokers) -> str:
    """For each input topic its partitions, and the codec, the text and the time of its newest record.

    Raises KafkaError, such as UnsupportedCodecError, and UnreadableBatchError where a batch is damaged.
    """
    log = Log(settings, brokers)
    counts = await log.partition_counts(settings.topics)
    found = []
    for topic, count in counts.items():
        tps = [TopicPartition(topic, number) for number in range(count)]
        newest = await _newest_record(brokers, await log.starts(tps), await log.ends(tps))
        found.append(f"{topic} ({count} partitions, {_describe(settings, newest)})")
    return ", ".join(found)


async def describe_outputs(settings: Settings, brokers: Brokers) -> str:
    """Each output topic, with its number of partitions."""
    counts = await Log(settings, brokers).partition_counts(_outputs(settings))
    return ", ".join(f"{topic} ({count})" for topic, count in counts.items())


def _outputs(settings: Settings) -> tuple[str, ...]:
    return settings.events_topic, settings.shifts_topic, settings.deadletters_topic


async def _rehearse(settings: Settings, brokers: Brokers, tps: list[TopicPartition]) -> None:
    producer = TransactionalProducer(settings, brokers, f"{settings.group}:check", CrashPoints(None))
    await producer.start()
    try:
        await producer.end_empty(tps, commit=False)
    except FencedError as error:
        raise SentimentError("another `sentiment check` of this group is running: try again") from error


async def _newest_record(
    brokers: Brokers, starts: dict[TopicPartition, int], ends: dict[TopicPartition, int]
) -> NewestRecord | None:
    """The newest record of a topic's partitions, as far as the ends of their logs show."""
    found = [await _last_record(brokers, tp, starts[tp], end) for tp, end in ends.items()]
    return max(filter(None, found), key=lambda newest: newest.record.timestamp, default=None)


async def _last_record(brokers: Brokers, tp: TopicPartition, start: int, end: int) -> NewestRecord | None:
    for offset in range(end - 1, max(start, end - _MAX_MARKERS) - 1, -1):
        for batch in await _fetch(brokers, tp, offset):
            codec = _CODECS[batch.compression_type]
            with unpacking_batch(f"{tp.topic}-{tp.partition} from offset {batch.base_offset} on", codec):
                records = [] if batch.is_control_batch else list(batch)  # empty, too, where compaction has left none
            if records:
                return NewestRecord(tp, records[-1], codec)
    return None


async def _fetch(brokers: Brokers, tp: TopicPartition, offset: int) -> Iterable[Any]:
    (node_id,) = await brokers.leaders([tp])
    topics = [(tp.topic, [(tp.partition, offset, _MAX_BYTES)])]
    response = await brokers.ask(node_id, FetchRequest(0, 0, _MAX_BYTES, _READ_UNCOMMITTED, topics))
    ((_, ((_, code, *_, data),)),) = response.topics
    if code:
        raise for_code(code)(f"{tp.topic}-{tp.partition}, offset {offset}")
    records = TolerantRecords(data or b"")
    batches = []
    while records.has_next():
        batches.append(records.next_batch())
    return batches


def _describe(settings: Settings, newest: NewestRecord | None) -> str:
    if newest is None:
        return "no record yet"
    tp, record, codec = newest
    place = f"the newest is {tp.partition}/{record.offset}, {codec}"
    ahead_s = record.timestamp / 1000 - time.time()
    clock = f", dated {ahead_s:.0f} s ahead of this clock" if ahead_s > _MIN_SKEW_S else ""
    return f"{place}, {_text_of(settings, newest)}{clock}"


def _text_of(settings: Settings, newest: NewestRecord) -> str:
    tp, record, _ = newest
    if record.value is None:
        return "no value: it erases a stream"
    try:
        Codec(settings).decode(tp.topic, record.key, record.value, tp.partition, record.offset, record.timestamp)
    except RecordError as error:
        return f"NO TEXT ({error.reason}: {error}); --fields says where the text is"
    return "with a text"
