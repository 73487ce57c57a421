"""Kinds of records: poison, huge records, odd payloads, aborted transactions, events that do not fit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaProducer
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from tests import kafka_tools
from tests.system.inputs import STREAMS, Input, now_ms, odd, poison, tweets
from tests.system.log_tools import send_aborted
from tests.system.scene import Scene
from worker.errors import Reason
from worker.records.codec import parse_time

MAX_RECORD_BYTES = (1 << 20) - 500  # the broker's limit, less Kafka's overhead for a record
UNSEEN = {
    Reason.POISON,
    Reason.ABSURD_TIME,
    Reason.EVENT_TOO_LARGE,
    Reason.UNKNOWN_SCHEMA,
    Reason.SCHEMA_MISMATCH,
    Reason.NOT_UNDERSTOOD,
}


def test_poison_becomes_dead_letters_and_does_not_affect_its_neighbours(scene: Scene) -> None:
    good = list(tweets(200, streams=STREAMS[:4]))
    bad = list(poison(STREAMS[0]))
    # No known text triggers POISON, no worker writes ABSURD_TIME any more, and what others need is not here.
    assert {one.reason for one in bad} == set(Reason) - UNSEEN
    for place, one in enumerate(bad):
        good.insert(20 * (place + 1), one)
    scene.send(good)
    worker = scene.launch_worker()
    scene.wait_until_flushed()
    counts = {reason: worker.metric("dead_letters_total", reason=reason) for reason in Reason}
    assert counts == dict.fromkeys(Reason, 1) | dict.fromkeys(UNSEEN, 0)
    report = scene.finish()
    assert report.exact, report
    letters = kafka_tools.read_to_end(scene.workplace.settings.kafka, scene.workplace.settings.deadletters_topic)
    assert [(one.key, one.value) for one in letters] == [
        (one.key if one.key is not None else one.stream.encode(), one.value) for one in bad
    ]


def test_a_record_of_the_brokers_maximum_size_does_not_block_the_worker(scene: Scene) -> None:
    good = list(tweets(100))
    value = json.dumps({"text": "so " * (MAX_RECORD_BYTES // 3)}).encode()
    huge = Input(STREAMS[0], None, now_ms(), reason=Reason.TEXT_TOO_LONG, value=value)
    nameless = json.dumps({"text": "fine", "stream": "x" * MAX_RECORD_BYTES}).encode()
    unnamed = Input(STREAMS[1], "fine", now_ms(), value=nameless)
    scene.send([*good[:50], huge, unnamed, *good[50:]])
    worker = scene.launch_worker("--until-end")
    assert worker.wait_for_end() == 0, worker.tail()
    report = scene.report()
    assert report.exact, report


def test_records_of_an_aborted_transaction_are_not_read(scene: Scene) -> None:
    settings = scene.workplace.settings
    scene.send(tweets(100))
    send_aborted(settings, scene.workplace.topic, tweets(50, seed=2))
    scene.send(tweets(100, seed=3))
    send_aborted(settings, scene.workplace.topic, tweets(50, seed=4))
    worker = scene.launch_worker("--until-end")
    assert worker.wait_for_end() == 0, worker.tail()
    report = scene.report()
    assert report.exact, report
    assert report.num_events == 200


def test_odd_payloads_are_scored_as_if_what_is_odd_were_not_there(scene: Scene) -> None:
    scene.send(tweets(50))
    scene.send(one for stream in STREAMS[:4] for one in odd(stream))
    worker = scene.launch_worker()
    scene.wait_until_flushed()
    counts = {name: worker.metric("fallbacks_total", fallback=name) for name in ("time_absurd", "time_unreadable")}
    assert counts == {"time_absurd": 4, "time_unreadable": 4}
    report = scene.finish()
    assert report.exact, report
    fallbacks = [event.get("fallbacks") for event in scene.events() if event["stream"] == STREAMS[0]]
    assert fallbacks[-5:] == [["time_absurd"], ["time_unreadable"], None, ["id_ignored", "final_ignored"], None]


def test_records_of_a_producer_without_timestamps_are_scored(make_scene: Callable[..., Scene]) -> None:
    scene = make_scene(partitions=1)
    settings, begin_ms = scene.workplace.settings, now_ms()
    asyncio.run(_send_without_timestamps(settings.kafka, scene.workplace.topic, [b'{"text": "great"}'] * 3))
    worker = scene.launch_worker("--until-end")
    assert worker.wait_for_end() == 0, worker.tail()
    assert not kafka_tools.read_to_end(settings.kafka, settings.deadletters_topic)
    found = scene.events()
    assert [event["fallbacks"] for event in found] == [["no_timestamp"]] * 3
    assert all(begin_ms <= parse_time(event["source"]["time"]) <= now_ms() for event in found)
    assert [event["latency_ms"] for event in found] == [0.0] * 3


async def _send_without_timestamps(kafka: str, topic: str, values: list[bytes]) -> None:
    producer: Any = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    try:
        batch = producer.create_batch()
        for value in values:
            batch.append(key=b"acme", value=value, timestamp=-1)
        await (await producer.send_batch(batch, topic, partition=0))
    finally:
        await producer.stop()


def test_events_that_their_topic_does_not_take_become_dead_letters_and_the_worker_goes_on(scene: Scene) -> None:
    settings = scene.workplace.settings
    resource = ConfigResource(ConfigResourceType.TOPIC, settings.events_topic, {"max.message.bytes": "1500"})
    with KafkaAdminClient(bootstrap_servers=settings.kafka) as admin:
        admin.alter_configs([resource])
    long = "x" * 1000
    inputs = list(tweets(120, streams=[*STREAMS[:3], long]))
    scene.send(inputs)
    worker = scene.launch_worker("--until-end")
    assert worker.wait_for_end() == 0, worker.tail()
    events = [json.loads(one.value) for one in kafka_tools.read_to_end(settings.kafka, settings.events_topic)]
    letters = kafka_tools.read_to_end(settings.kafka, settings.deadletters_topic)
    assert {one["stream"] for one in events} == set(STREAMS[:3])
    assert {one.key for one in letters} == {long.encode()}
    assert all(("sentiment-reason", b"event_too_large") in one.headers for one in letters)
    sources = [tuple(one["source"][name] for name in ("topic", "partition", "offset")) for one in events]
    for headers in (dict(one.headers) for one in letters):
        place = (headers[f"sentiment-{name}"].decode() for name in ("topic", "partition", "offset"))
        topic, partition, offset = place
        sources.append((topic, int(partition), int(offset)))
    assert len(sources) == len(set(sources)) == len(inputs), "each record has one event or one dead letter"
