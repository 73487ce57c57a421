"""Every codec of Kafka is read and written: as a producer's compression, and as a topic's setting."""

from __future__ import annotations

import asyncio
import json
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.record.util import calc_crc32c

from tests import kafka_tools
from tests.system.scene import Scene
from worker.errors import UnreadableBatchError
from worker.kafka.producer import CODECS
from worker.settings import Settings
from worker.tools.deadletters import list_deadletters
from worker.tools.feed import feed_files
from worker.tools.redrive import redrive
from worker.tools.tail import follow, show_json

NUM_TEXTS = 40
PRODUCERS = [name for name in CODECS if name != "none"]
CODEC_BITS = 0x07
ATTRIBUTES_AT, CRC_AT, COVERED_AT, HEADER_BYTES = 21, 17, 21, 61  # in a record batch of format 2


async def produce(kafka: str, topic: str, codec: str | None) -> None:
    """NUM_TEXTS texts in one batch, then a record that is no JSON."""
    producer: Any = AIOKafkaProducer(bootstrap_servers=kafka, compression_type=codec, linger_ms=50)
    await producer.start()
    try:
        values = [json.dumps({"text": f"great flight, thanks number {n}"}).encode() for n in range(NUM_TEXTS)]
        sends = [await producer.send(topic, value, b"@acme") for value in [*values, b"not json " * 20]]
        await asyncio.gather(*sends)
    finally:
        await producer.stop()


class EnoughError(Exception):
    """There is no need to read on."""


def tailed(settings: Settings, count: int = NUM_TEXTS) -> list[Any]:
    """`count` events, as `sentiment tail` reads them."""
    found: list[Any] = []

    def show(value: bytes) -> None:
        found.append(json.loads(value))
        if len(found) == count:
            raise EnoughError

    with pytest.raises(EnoughError):
        asyncio.run(asyncio.wait_for(follow(settings, settings.events_topic, show, from_start=True), 60))
    return found


def letters(settings: Settings) -> list[Any]:
    """The dead letters, as `sentiment deadletters list` reads them."""

    async def collect() -> list[Any]:
        return [letter async for letter in list_deadletters(settings)]

    return asyncio.run(collect())


def codecs_in(scene: Scene, topic: str) -> set[int]:
    """The codecs of the batches in the log of `topic`, as its segments hold them."""
    codecs = set()
    for segment in scene.workplace.stack.folder.rglob(f"{topic}-*/*.log"):
        data, at = segment.read_bytes(), 0
        while at + ATTRIBUTES_AT < len(data) and any(data[at : at + 17]):
            codecs.add(data[at + ATTRIBUTES_AT + 1] & CODEC_BITS)
            at += 12 + struct.unpack_from(">i", data, at + 8)[0]
    return codecs


@pytest.mark.parametrize("codec", PRODUCERS)
def test_a_codec_is_read_and_written_by_the_worker_and_the_tools(
    codec: str, make_scene: Callable[..., Scene], tmp_path: Path
) -> None:
    scene = make_scene(partitions=1, compression=codec)
    settings, topic = scene.workplace.settings, scene.workplace.topic
    asyncio.run(produce(settings.kafka, topic, codec))
    worker = scene.launch_worker("--until-end")
    assert worker.wait_for_end() == 0, worker.tail()
    assert [event["source"]["offset"] for event in tailed(settings)] == list(range(NUM_TEXTS))
    (letter,) = letters(settings)
    assert letter.reason == "invalid_json"
    assert asyncio.run(redrive(settings)).num_redriven == 1
    path = tmp_path / "more.jsonl"
    path.write_text(json.dumps({"text": "fed " * 20, "stream": "@acme"}) + "\n")
    assert asyncio.run(feed_files(settings, [path], topic, None, asyncio.Event())).num_sent == 1
    assert len(kafka_tools.read_to_end(settings.kafka, topic)) == NUM_TEXTS + 3
    written = {CODECS[codec], CODECS["none"]}  # transaction markers are never compressed
    assert codecs_in(scene, topic) == codecs_in(scene, settings.events_topic) == written
    assert len(kafka_tools.read_to_end(settings.kafka, settings.events_topic)) == NUM_TEXTS


def test_topics_that_the_broker_compresses_are_read(make_scene: Callable[..., Scene]) -> None:
    scene = make_scene(inputs=PRODUCERS, partitions=1)
    settings = scene.workplace.settings
    codecs = dict(zip(settings.topics, PRODUCERS, strict=True))
    codecs |= {settings.events_topic: "zstd", settings.deadletters_topic: "lz4"}
    scene.workplace.delete_topics()
    kafka_tools.create_topics(settings.kafka, {settings.shifts_topic: 1})
    for topic, codec in codecs.items():
        kafka_tools.create_topics(settings.kafka, {topic: 1}, **{"compression.type": codec})
    for topic in settings.topics:
        asyncio.run(produce(settings.kafka, topic, None))
    worker = scene.launch_worker("--until-end")
    assert worker.wait_for_end() == 0, worker.tail()
    num_events = NUM_TEXTS * len(PRODUCERS)
    found = Counter(event["source"]["topic"] for event in tailed(settings, num_events))
    assert found == dict.fromkeys(settings.topics, NUM_TEXTS)
    assert len(letters(settings)) == len(PRODUCERS)
    for topic, codec in codecs.items():
        assert CODECS[codec] in codecs_in(scene, topic), topic


def test_a_damaged_batch_is_named_with_what_to_do(make_scene: Callable[..., Scene]) -> None:
    scene = make_scene(partitions=1)
    settings, topic = scene.workplace.settings, scene.workplace.topic
    for _ in range(2):
        asyncio.run(produce(settings.kafka, topic, "zstd"))
    (segment,) = scene.workplace.stack.folder.rglob(f"{topic}-0/*.log")
    _damage(segment)
    worker = scene.launch_worker("--until-end")
    assert worker.wait_for_end() == 1, worker.tail()
    for part in (f"{topic}-0 from offset {NUM_TEXTS + 1} on", "zstd", "kafka-consumer-groups"):
        assert part in worker.output()
    assert "Traceback" not in worker.output()
    with pytest.raises(UnreadableBatchError, match=f"{topic}-0 from offset {NUM_TEXTS + 1} on"):
        asyncio.run(asyncio.wait_for(follow(settings, topic, show_json, from_start=True), 60))


def _damage(segment: Path) -> None:
    """Overwrite what the second batch of a log holds, and make its checksum right, as a broken producer would.

    The broker unpacks the first by itself, to find the offset of a time.
    """
    data = bytearray(segment.read_bytes())
    begin = 12 + struct.unpack_from(">i", data, 8)[0]
    end = begin + 12 + struct.unpack_from(">i", data, begin + 8)[0]
    data[begin + HEADER_BYTES : end] = b"\x55" * (end - begin - HEADER_BYTES)
    struct.pack_into(">I", data, begin + CRC_AT, calc_crc32c(bytes(data[begin + COVERED_AT : end])))
    with segment.open("r+b") as file:
        file.write(data)
