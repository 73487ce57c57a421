"""Listing and redriving dead letters on a real broker; the worker's own producer writes them."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.errors import NoError

from tests.kafka_tools import Keyed, create_topics, delete_topics, produce, read_to_end
from tests.workplace import Workplace
from worker.errors import DependencyError, Reason, RecordError, SentimentError, TopicsError
from worker.kafka.brokers import Brokers
from worker.kafka.group_offsets import GroupOffset
from worker.kafka.producer import ProducerRecord
from worker.kafka.transaction import TransactionalProducer
from worker.process import CrashPoints
from worker.records.codec import format_time
from worker.records.headers import REDRIVEN, deadletter_headers
from worker.records.types import TopicPartition as InputPartition
from worker.settings import Settings, load_settings
from worker.stack.server import free_port
from worker.tools.deadletters import DeadLetter, list_deadletters
from worker.tools.redrive import RedriveSummary, redrive

TIME_MS = 1_790_000_000_123
SUBPROCESS_TIMEOUT_S, FORGET_TIMEOUT_S, SEND_TIMEOUT_S = 300, 120, 120


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


def test_a_dead_letter_is_listed_with_everything_known_about_it(workplace: Workplace) -> None:
    bury(workplace, [NO_TEXTS[0]], partition=2, first_offset=41)
    (letter,) = listed(workplace)
    assert (letter.reason, letter.error) == (Reason.NO_TEXT, "because of no_text")
    assert (letter.source.topic, letter.source.partition, letter.source.offset) == (workplace.topic, 2, 41)
    assert letter.source.time == format_time(TIME_MS + 41)
    assert (letter.key, letter.num_bytes, letter.num_redriven) == ("@acme", len(NO_TEXTS[0].value), 0)
    assert letter.pending
    assert letter.id == f"{workplace.settings.deadletters_topic}-2-0"


def test_dead_letters_are_listed_by_reason_oldest_first_any_number_of_times(workplace: Workplace) -> None:
    bury(workplace, MIXED)
    assert [letter.reason for letter in listed(workplace)] == [one.reason for one in MIXED]
    for _ in range(2):
        poisons = listed(workplace, Reason.POISON)
        assert [letter.source.offset for letter in poisons] == [1, 4, 6]
    assert len(listed(workplace, Reason.NO_TEXT, Reason.POISON)) == len(MIXED)
    assert not listed(workplace, Reason.NO_STREAM)


def test_the_original_comes_back_to_its_partition_unchanged(workplace: Workplace) -> None:
    headers = (("trace", b"1"), ("empty", b""), ("null", None), ("trace", b"2"))
    bury(workplace, [Bad(Reason.NO_TEXT, b"\xff\x00", b"\xfe", headers)], partition=3, first_offset=7)
    assert redriven(workplace) == (1, 0)
    (record,) = read_to_end(workplace.settings.kafka, workplace.topic)
    assert (record.partition, record.key, record.value) == (3, b"\xfe", b"\xff\x00")
    assert record.timestamp == TIME_MS + 7
    assert list(record.headers) == [*headers, (REDRIVEN, b"1")]


@pytest.mark.parametrize(("key", "value"), [(None, b"x"), (b"@acme", None), (None, None)])
def test_missing_keys_and_values_stay_missing(workplace: Workplace, key: bytes | None, value: bytes | None) -> None:
    bury(workplace, [Bad(Reason.NO_STREAM, value, key)])
    assert redriven(workplace) == (1, 0)
    (record,) = read_to_end(workplace.settings.kafka, workplace.topic)
    assert (record.key, record.value) == (key, value)


def test_every_partition_is_redriven_in_order(workplace: Workplace) -> None:
    expected = {}
    for partition in range(workplace.settings.partitions):
        bad = [Bad(Reason.NO_TEXT, f"{partition} {n}".encode()) for n in range(20)]
        expected[partition] = values(bad)
        bury(workplace, bad, partition)
    assert redriven(workplace) == (20 * workplace.settings.partitions, 0)
    found: dict[int, list[bytes]] = {partition: [] for partition in expected}
    for record in read_to_end(workplace.settings.kafka, workplace.topic):
        found[record.partition].append(record.value)
    assert found == expected


def test_a_skipped_reason_is_redriven_later_and_nothing_is_redriven_twice(workplace: Workplace) -> None:
    bury(workplace, MIXED)
    assert redriven(workplace, Reason.POISON) == (3, 0)
    assert returned(workplace) == values(POISONS)
    assert [letter.pending for letter in listed(workplace)] == [one.reason != Reason.POISON for one in MIXED]
    assert redriven(workplace, Reason.POISON) == (0, 0)
    bury(workplace, [Bad(Reason.POISON, b"poison 3")], first_offset=len(MIXED))
    assert redriven(workplace) == (5, 0)
    assert redriven(workplace) == (0, 0)
    assert returned(workplace) == [*values(POISONS), *values(NO_TEXTS), b"poison 3"]
    assert not any(letter.pending for letter in listed(workplace))


def test_a_record_that_is_dead_lettered_again_is_counted_and_can_be_redriven_again(workplace: Workplace) -> None:
    bury(workplace, [NO_TEXTS[0]])
    redriven(workplace)
    (back,) = read_to_end(workplace.settings.kafka, workplace.topic)
    bury(workplace, [Bad(Reason.POISON, back.value, back.key, back.headers)], first_offset=back.offset)
    assert [(letter.reason, letter.num_redriven) for letter in listed(workplace)] == [
        (Reason.NO_TEXT, 0),
        (Reason.POISON, 1),
    ]
    assert redriven(workplace) == (1, 0)
    last = read_to_end(workplace.settings.kafka, workplace.topic)[-1]
    assert (last.value, list(last.headers)) == (NO_TEXTS[0].value, [(REDRIVEN, b"2")])


def test_more_dead_letters_than_fit_a_chunk_come_back_once_each(workplace: Workplace) -> None:
    bad = [Bad(Reason.NO_TEXT, b"%d " % n + b"x" * 2000) for n in range(1200)]
    error = RecordError(Reason.NO_TEXT, "")
    headers = [tuple(deadletter_headers((), error, workplace.topic, 0, n, TIME_MS)) for n in range(len(bad))]
    records = [Keyed(one.key, one.value, 0, None, of_one) for one, of_one in zip(bad, headers, strict=True)]
    produce(workplace.settings.kafka, workplace.settings.deadletters_topic, records)
    assert redriven(workplace) == (1200, 0)
    assert returned(workplace) == values(bad)


def test_uncommitted_records_are_neither_listed_nor_redriven_nor_waited_for(workplace: Workplace) -> None:
    topic = workplace.settings.deadletters_topic
    headers = deadletter_headers((), RecordError(Reason.NO_TEXT, ""), workplace.topic, 0, 0, TIME_MS)
    bury(workplace, NO_TEXTS[:1])

    def begun(transactional_id: str) -> KafkaProducer:
        producer = KafkaProducer(bootstrap_servers=workplace.settings.kafka, transactional_id=transactional_id)
        producer.init_transactions()
        producer.begin_transaction()
        producer.send(topic, b"uncommitted", b"k", headers, partition=0).get(SEND_TIMEOUT_S)
        return producer

    with begun(f"{workplace.settings.group}.aborted") as aborted:
        aborted.abort_transaction()
    bury(workplace, NO_TEXTS[1:2], first_offset=1)
    with begun(f"{workplace.settings.group}.open") as opened:
        bury(workplace, NO_TEXTS[2:3], first_offset=2)
        assert len(listed(workplace)) == 2
        assert redriven(workplace) == (2, 0)
        opened.abort_transaction()
    assert redriven(workplace) == (1, 0)
    assert returned(workplace) == values(NO_TEXTS[:3])


def test_records_deleted_from_the_log_are_skipped(workplace: Workplace) -> None:
    bury(workplace, NO_TEXTS)
    held = TopicPartition(workplace.settings.deadletters_topic, 0)
    with KafkaAdminClient(bootstrap_servers=workplace.settings.kafka) as admin:
        admin.delete_records({held: 4})  # each of the first two is followed by a commit marker
    assert [letter.source.offset for letter in listed(workplace)] == [2, 3]
    assert redriven(workplace) == (2, 0)
    assert returned(workplace) == values(NO_TEXTS[2:])


def test_records_that_no_worker_wrote_are_listed_counted_and_left_alone(workplace: Workplace) -> None:
    produce(workplace.settings.kafka, workplace.settings.deadletters_topic, [Keyed(b"k", b"stray", 0)])
    bury(workplace, NO_TEXTS[:1])
    stray, letter = listed(workplace)
    assert (stray.reason, stray.source, stray.pending) == (None, None, False)
    assert letter.pending
    assert redriven(workplace) == (1, 1)
    assert returned(workplace) == values(NO_TEXTS[:1])


def test_a_source_that_is_gone_is_named_and_its_dead_letters_stay_pending(
    make_workplace: Callable[..., Workplace],
) -> None:
    workplace = make_workplace(request_timeout_s=4.0)
    bury(workplace, NO_TEXTS[:2])
    delete(workplace, workplace.topic)
    with pytest.raises(TopicsError, match=f"{workplace.topic}-0"):
        redriven(workplace)
    create_topics(workplace.settings.kafka, {workplace.topic: 1})
    assert redriven(workplace) == (2, 0)
    assert returned(workplace) == values(NO_TEXTS[:2])


DYING = """
import asyncio, os, sys
from worker.kafka.transaction import TransactionalProducer
from worker.tools.redrive import redrive
from worker.settings import load_settings

name, when = sys.argv[1:]
method = getattr(TransactionalProducer, name)

async def die(*args, **kwargs):
    if when == "after":
        await method(*args, **kwargs)
    os._exit(9)

setattr(TransactionalProducer, name, die)
asyncio.run(redrive(load_settings()))
"""


@pytest.mark.parametrize(
    ("method", "when", "num_left"),
    [
        ("_begin", "after", 7),
        ("_deliver", "after", 7),
        ("_send_offsets", "before", 7),
        ("_send_offsets", "after", 7),
        ("_end", "before", 7),
        ("_end", "after", 0),
    ],
)
def test_a_redrive_that_dies_loses_and_duplicates_nothing(
    workplace: Workplace, method: str, when: str, num_left: int
) -> None:
    bury(workplace, MIXED)
    died = subprocess.run(
        [sys.executable, "-c", DYING, method, when],
        env=workplace.environment(),
        timeout=SUBPROCESS_TIMEOUT_S,
        check=False,
    )
    assert died.returncode == 9
    assert redriven(workplace) == (num_left, 0)
    assert returned(workplace) == values(MIXED)


def test_a_redrive_fails_and_duplicates_nothing_after_another_one_has_taken_over(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    bury(workplace, MIXED)
    end: Callable[..., Awaitable[None]] = TransactionalProducer._end
    overtaking: list[Any] = []

    async def overtaken(producer: TransactionalProducer, *, commit: bool) -> None:
        if not overtaking:
            overtaking.append(None)
            overtaking.append(await redrive(workplace.settings))
        await end(producer, commit=commit)

    monkeypatch.setattr(TransactionalProducer, "_end", overtaken)
    with pytest.raises(SentimentError, match="taken over"):
        redriven(workplace)
    assert overtaking[1] == (len(MIXED), 0)
    assert returned(workplace) == values(MIXED)


def run_both(settings: Settings) -> None:
    with pytest.raises(DependencyError, match=f"Kafka at {settings.kafka}"):
        asyncio.run(redrive(settings))

    async def first() -> None:
        await anext(aiter(list_deadletters(settings)))

    with pytest.raises(DependencyError, match=f"Kafka at {settings.kafka}"):
        asyncio.run(first())


def test_a_kafka_that_does_not_answer_is_named() -> None:
    run_both(load_settings(kafka=f"127.0.0.1:{free_port()}", request_timeout_s=1))


def test_a_missing_topic_is_named_with_what_to_do(workplace: Workplace) -> None:
    delete(workplace, workplace.settings.deadletters_topic)
    for call in (listed, redriven):
        with pytest.raises(TopicsError, match="sentiment topics"):
            call(workplace)
