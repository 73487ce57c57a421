"""Kinds of records: poison, huge records, pieces of texts, erasures, expired streams, aborted transactions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from aiokafka import AIOKafkaProducer
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from tests import kafka_tools
from tests.system.failures.test_redis_faults import forget_everything
from tests.system.inputs import STREAMS, Input, now_ms, odd, poison, send, tweets
from tests.system.log_tools import send_aborted
from tests.system.scene import Scene
from worker.errors import Reason
from worker.records.codec import parse_time

HOUR_MS = 3_600_000
MAX_RECORD_BYTES = (1 << 20) - 500  # the broker's limit, less Kafka's overhead for a record
TEXT = "so happy today , great flight and the service was very good . love the phone but hate the bad film ! thanks"
NUM_PIECES = 9
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


def test_a_text_in_pieces_is_scored_like_the_whole_text_even_if_a_worker_dies_in_between(
    make_scene: Callable[..., Scene],
) -> None:
    scene = make_scene(instance_id="only")
    cuts = [len(TEXT) * place // NUM_PIECES for place in range(NUM_PIECES + 1)]
    pieces = [TEXT[begin:end] for begin, end in pairwise(cuts)]
    streams = [f"stream-{number}" for number in range(8)]
    scene.send(Input(f"whole-{stream}", TEXT, now_ms()) for stream in streams)
    inputs = [
        Input(stream, piece, now_ms(), final=place == NUM_PIECES)
        for place, piece in enumerate(pieces, start=1)
        for stream in streams
    ]
    half = len(inputs) // 2
    scene.send(inputs[:half])
    first = scene.launch_worker()
    scene.wait_until_flushed()
    first.kill()
    scene.send(inputs[half:])
    scene.launch_worker()
    report = scene.finish()
    assert report.exact, report
    (whole,) = {_rounded(event) for event in _events(scene) if event["stream"].startswith("whole")}
    (pieced,) = {_rounded(event) for event in _events(scene) if event["stream"] in streams and event["final"]}
    assert whole == pieced


def _events(scene: Scene) -> list[dict[str, Any]]:
    settings = scene.workplace.settings
    return [json.loads(one.value) for one in kafka_tools.read_to_end(settings.kafka, settings.events_topic)]


def _rounded(event: dict[str, Any]) -> tuple[Any, ...]:
    """The label, probabilities and mood score of an event, to five digits."""
    shares = tuple(round(share, 5) for share in event["probabilities"].values())
    return event["label"], shares, round(event["mood"]["score"], 5)


def test_a_null_value_erases_its_stream_even_in_a_replay(scene: Scene) -> None:
    erased, renewed = STREAMS[:10], STREAMS[:5]
    scene.send(tweets(300))
    scene.send(Input(stream, None, now_ms()) for stream in erased)
    scene.send(tweets(50, seed=2, streams=renewed))
    scene.launch_worker()
    scene.wait_until_flushed()
    scene.drain()
    report = scene.report()
    assert report.exact, report
    forget_everything(scene)
    scene.send(tweets(50, seed=3, streams=renewed))
    scene.launch_worker()
    report = scene.finish()
    assert report.exact, report
    assert report.num_states == len(STREAMS) - len(erased) + len(renewed)


def test_a_stream_expires_by_event_time_even_in_a_replay(make_scene: Callable[..., Scene]) -> None:
    scene = make_scene(state_ttl_s=HOUR_MS // 1000)
    begin_ms = now_ms() - 1000 * HOUR_MS
    minutes = (
        0,
        59,
        60,
        121,
        121,
        100,
        160,
        182,
        300,
        301,
        361,
        361,
        430,
    )  # 121, 300 and 430 come more than an hour after the latest
    inputs = [
        Input(stream, f"great flight {minute}", begin_ms + minute * 60_000, timestamp_ms=now_ms())
        for minute in minutes
        for stream in STREAMS[:6]
    ]
    scene.send(inputs[:-20])
    scene.launch_worker()
    scene.wait_until_flushed()
    scene.drain()
    forget_everything(scene)
    scene.send(inputs[-20:])
    scene.launch_worker()
    report = scene.finish()
    assert report.exact, report
    resets = [event["state"]["reset"] for event in _events(scene) if event["stream"] == STREAMS[0]]
    assert resets.count("expired") == 3


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
    fallbacks = [event.get("fallbacks") for event in _events(scene) if event["stream"] == STREAMS[0]]
    assert fallbacks[-5:] == [["time_absurd"], ["time_unreadable"], None, ["id_ignored", "final_ignored"], None]


def test_records_of_a_producer_without_timestamps_are_scored(make_scene: Callable[..., Scene]) -> None:
    scene = make_scene(partitions=1)
    settings, begin_ms = scene.workplace.settings, now_ms()
    asyncio.run(_send_without_timestamps(settings.kafka, scene.workplace.topic, [b'{"text": "great"}'] * 3))
    worker = scene.launch_worker("--until-end")
    assert worker.wait_for_end() == 0, worker.tail()
    assert not kafka_tools.read_to_end(settings.kafka, settings.deadletters_topic)
    found = _events(scene)
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


def test_skipped_records_commit_and_leave_the_states_alone_even_in_a_rebuild(scene: Scene) -> None:
    settings, topic = scene.workplace.settings, scene.workplace.topic
    rule = json.dumps({topic: {"skip": [{"path": "op", "values": ["d"]}]}})
    deletes = [Input(stream, None, now_ms(), value=b'{"text": "terrible", "op": "d"}') for stream in STREAMS]

    def send_mixed(seed: int) -> None:
        scene.send(tweets(100, seed))
        send(settings.kafka, topic, settings.partitions, deletes)  # not in scene.sent: nothing may come of them
        scene.send(tweets(50, seed + 1))
        send(settings.kafka, topic, settings.partitions, deletes)

    send_mixed(1)
    worker = scene.launch_worker(payloads=rule)
    scene.wait_until_flushed()
    worker.wait_for_metric("records_total", 2 * len(deletes), outcome="skipped")
    scene.drain()
    forget_everything(scene)
    send_mixed(3)
    worker = scene.launch_worker(payloads=rule)
    worker.wait_for_metric("records_total", 2 * len(deletes), outcome="skipped")
    report = scene.finish()
    assert report.exact, report
    ends = {tp: end for tp, end in kafka_tools.ends(settings.kafka, topic).items() if end}
    assert kafka_tools.committed(settings.kafka, settings.group) == ends


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
