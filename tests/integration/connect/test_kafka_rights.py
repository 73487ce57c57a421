"""The least rights of each command: with exactly these it works, without any of them the error names it.

A real broker with Kafka's own authorizer, which allows nothing that no entry allows; docs/connect.md has the table.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator

import pytest
from kafka.admin import ACLOperation, ResourceType

from tests import kafka_tools
from tests.checkpoints import save_tiny_checkpoint
from tests.integration.connect.kafka_rights import (
    COMPARISONS,
    DEADLETTERS,
    INPUTS,
    LIST,
    OUTPUTS,
    REDRIVE,
    SHADOW,
    SHADOW_TOPIC,
    WORKER,
    Right,
    allow,
    look_at,
    read,
    write,
)
from tests.kafka_tools import Keyed
from tests.servers.secure_kafka import SecureKafka, secure_kafka
from worker.errors import Reason, RecordError, SentimentError
from worker.kafka.access.preflight import check_kafka
from worker.kafka.access.rights import check_rights, rights_of_follower
from worker.kafka.brokers import Brokers
from worker.kafka.group import Group
from worker.kafka.group_offsets import GroupOffset
from worker.kafka.log import Log
from worker.kafka.producer import BatchProducer, ProducerRecord
from worker.kafka.topics import ensure_topics
from worker.kafka.transaction import TransactionalProducer
from worker.ownership.published import Published
from worker.process import CrashPoints
from worker.records.headers import deadletter_headers
from worker.records.types import TopicPartition
from worker.settings import Settings, load_settings
from worker.tools.checks import check_all
from worker.tools.comparison.topics import compare
from worker.tools.deadletters import list_deadletters
from worker.tools.feed import feed_files
from worker.tools.redrive import redrive
from worker.tools.stream_view import erase_state, show_state
from worker.tools.tail import open_reader


async def as_worker(settings: Settings) -> None:
    """Every request of a micro-batch, as the worker sends it."""
    async with Brokers(settings) as brokers:
        await check_kafka(settings, brokers)
        producer = TransactionalProducer(settings, brokers, "sentiment:1:me:1", CrashPoints(None))
        await producer.start()
        records = [ProducerRecord(topic, 0, b"a", b"{}", ()) for topic in OUTPUTS]
        offsets = {TopicPartition(topic, 0): GroupOffset(0) for topic in INPUTS}
        await producer.commit(records, offsets, settings.group)
        await Published(settings, brokers).progress(await Log(settings, brokers).topic_ids(INPUTS), list(offsets))
    async with open_reader(settings, INPUTS, from_start=True) as reader:
        await reader.getmany(timeout_ms=200)


async def as_shadow(settings: Settings) -> None:
    """The same of a shadow, which also looks how far its group is, and reads the events of both."""
    shadow = settings.of_shadow("ff")
    async with Brokers(settings) as brokers:
        await check_rights(settings, brokers, rights_of_follower(settings))
        await check_kafka(shadow, brokers)
        producer = TransactionalProducer(shadow, brokers, f"{shadow.group}:1:me:1", CrashPoints(None))
        await producer.start()
        offsets = {TopicPartition(topic, 0): GroupOffset(0) for topic in INPUTS}
        await producer.commit([ProducerRecord(SHADOW_TOPIC, 0, b"a", b"{}", ())], offsets, shadow.group)
        await Group(settings, brokers, settings.group).offsets(offsets, stable=False)
        comparing = BatchProducer(settings, brokers)
        await comparing.start()
        await comparing.send([ProducerRecord(COMPARISONS, 0, b"a", b"{}", ())])
    await as_compare(settings)


async def as_compare(settings: Settings) -> None:
    await compare(settings)


async def as_check(settings: Settings) -> None:
    findings = await asyncio.to_thread(lambda: list(check_all(settings)))
    failed = [finding for finding in findings if finding.exit_code]
    if failed:
        raise SentimentError("; ".join(finding.detail for finding in failed))


async def as_tail(settings: Settings) -> None:
    async with open_reader(settings, [settings.events_topic], from_start=True) as reader:
        await reader.getmany(timeout_ms=200)


async def as_tail_of_shifts(settings: Settings) -> None:
    async with open_reader(settings, [settings.shifts_topic], from_start=True) as reader:
        await reader.getmany(timeout_ms=200)


async def as_list(settings: Settings) -> None:
    assert [letter async for letter in list_deadletters(settings)]


async def as_redrive(settings: Settings) -> None:
    await redrive(settings)


async def as_feed(settings: Settings, tmp_path: object) -> None:
    await feed_files(settings, [tmp_path], "tweets", None, asyncio.Event())  # type: ignore[list-item]


async def as_show(settings: Settings) -> None:
    with pytest.raises(SentimentError) as raised:
        await show_state(settings, "tweets", "nobody")
    if "Redis has no state" not in str(raised.value):
        raise raised.value


async def as_erase(settings: Settings) -> None:
    await erase_state(settings, "tweets", "nobody")


COMMANDS: dict[str, tuple[Callable[..., object], tuple[Right, ...]]] = {
    "worker": (as_worker, WORKER),
    "worker --shadow": (as_shadow, SHADOW),
    "models compare": (as_compare, (read("sentiment.events"), read(SHADOW_TOPIC))),
    "check": (as_check, WORKER),
    "tail": (as_tail, (read("sentiment.events"),)),
    "tail --shifts": (as_tail_of_shifts, (read("sentiment.shifts"),)),
    "deadletters list": (as_list, LIST),
    "deadletters redrive": (as_redrive, REDRIVE),
    "feed": (as_feed, (write("tweets"),)),
    "state show": (as_show, (look_at("tweets"),)),
    "state erase": (as_erase, (write("tweets"),)),
}


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    with secure_kafka(tmp_path_factory.mktemp("kafka")) as kafka:
        plain = load_settings(kafka=kafka.stack.kafka)
        ensure_topics(plain)
        ensure_topics(plain.of_shadow(""))
        asyncio.run(_bury(plain))
        yield kafka


async def _bury(settings: Settings) -> None:
    error = RecordError(Reason.NO_TEXT, "no text")
    headers = deadletter_headers((), error, "tweets", 0, 0, 1_790_000_000_000)
    async with Brokers(settings) as brokers:
        producer = TransactionalProducer(settings, brokers, "bury", CrashPoints(None))
        await producer.start()
        letter = ProducerRecord(DEADLETTERS, 0, b"a", b"{}", headers)
        await producer.commit([letter], {TopicPartition("tweets", 0): GroupOffset(1)}, "bury")


@pytest.fixture
def settings(kafka: SecureKafka, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    checkpoint = save_tiny_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny")
    return load_settings(**kafka.flags("PLAIN"), checkpoint=checkpoint)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_least_rights_suffice_and_a_missing_one_is_named(
    kafka: SecureKafka, settings: Settings, command: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    call, rights = COMMANDS[command]
    file = tmp_path_factory.mktemp("feed") / "one.jsonl"
    file.write_text(json.dumps({"stream": "a", "text": "fine"}) + "\n")

    def run() -> None:
        arguments = (settings, file) if call is as_feed else (settings,)
        asyncio.run(asyncio.wait_for(call(*arguments), 60))  # type: ignore[arg-type]

    allow(kafka, rights)
    run()
    for missing in rights:
        allow(kafka, tuple(right for right in rights if right != missing))
        with pytest.raises(SentimentError) as raised:
            run()
        assert missing.said in str(raised.value), (command, missing.said)
        others = [right.said for right in rights if right != missing and right.said != missing.said]
        assert not any(f"{said};" in f"{raised.value};" for said in others), str(raised.value)


def test_topics_needs_the_right_to_create_and_to_look(kafka: SecureKafka, settings: Settings) -> None:
    names = {"topics": ("new.in",), "events_topic": "new.events", "shifts_topic": "new.shifts"}
    new = load_settings(**kafka.flags("PLAIN"), **names, deadletters_topic="new.deadletters")
    create, look = (
        Right(operation, ResourceType.TOPIC, "new.", "", is_prefix=True)
        for operation in (ACLOperation.CREATE, ACLOperation.DESCRIBE)
    )
    allow(kafka, (look,))
    with pytest.raises(SentimentError, match=r"lacks the right to Create topic .*new\.in"):
        ensure_topics(new)
    allow(kafka, (create,))
    with pytest.raises(SentimentError, match=r"lacks the right to Describe topic"):
        ensure_topics(new)
    allow(kafka, (create, look))
    assert len(ensure_topics(new)) == 4
    kafka_tools.produce(kafka.stack.kafka, "new.in", [Keyed(b"a", b"{}")])
