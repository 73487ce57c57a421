"""Feeding records and files to a real Kafka, in order, at a rate, and until it stops or fails."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.kafka_tools import create_topics, delete_topics, read_count, read_to_end
from tests.workplace import Workplace
from worker.errors import DependencyError, TopicsError
from worker.records.codec import Codec
from worker.settings import load_settings
from worker.stack.server import free_port
from worker.tools.feed import feed_files, send_feed
from worker.tools.simulate import Feed, FeedRecord

NUM_RECORDS = 3000
NUM_BEFORE_STOP = 500


def simulated(workplace: Workplace) -> list[FeedRecord]:
    tweets, reviews = workplace.settings.topics
    return list(islice(Feed(0, topics=(tweets, reviews), poison_share=0.02), NUM_RECORDS))


def send(workplace: Workplace, records: list[FeedRecord], rate: float | None = None) -> int:
    return asyncio.run(send_feed(workplace.settings, records, rate, asyncio.Event()))


def by_stream(records: Iterable[Any]) -> dict[tuple[str, bytes | None], list[bytes]]:
    """The values in order; those without a key are sorted, because Kafka keeps no order for them."""
    values = defaultdict(list)
    for record in records:
        values[record.topic, record.key].append(record.value)
    return {name: sorted(of) if name[1] is None else of for name, of in values.items()}


def test_every_record_arrives_once_and_in_order_per_stream(workplace: Workplace) -> None:
    records = simulated(workplace)
    assert send(workplace, records) == NUM_RECORDS
    arrived = read_to_end(workplace.settings.kafka, *workplace.settings.topics)
    assert len(arrived) == NUM_RECORDS
    assert by_stream(arrived) == by_stream(records)


def test_a_feed_stops_on_request_and_counts_what_arrived(workplace: Workplace) -> None:
    stop = asyncio.Event()

    def stopping() -> Iterator[FeedRecord]:
        for number, record in enumerate(simulated(workplace)):
            if number == NUM_BEFORE_STOP:
                stop.set()
            yield record

    num_sent = asyncio.run(send_feed(workplace.settings, stopping(), 5000, stop))
    assert num_sent == NUM_BEFORE_STOP
    assert len(read_to_end(workplace.settings.kafka, *workplace.settings.topics)) == num_sent


def test_a_rate_is_never_exceeded(workplace: Workplace) -> None:
    started = time.monotonic()
    assert send(workplace, simulated(workplace)[:200], rate=400) == 200
    assert time.monotonic() - started >= 199 / 400


def test_a_file_is_fed_without_its_bad_lines(workplace: Workplace, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"stream": "s", "text": "one"}\n{"stream": "s"}\n{"stream": "s", "text": "two"}\n')
    summary = asyncio.run(feed_files(workplace.settings, [path], workplace.topic, None, asyncio.Event()))
    assert summary == (2, 1)
    codec = Codec(workplace.settings)
    arrived = read_to_end(workplace.settings.kafka, workplace.topic)
    texts = [codec.decode(r.topic, r.key, r.value, r.partition, r.offset, r.timestamp).text for r in arrived]
    assert texts == ["one", "two"]


def test_a_record_that_is_larger_than_the_topic_takes_is_left_out_and_the_others_are_sent(
    workplace: Workplace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    topic = f"{workplace.topic}.small"
    create_topics(workplace.settings.kafka, {topic: 2}, **{"max.message.bytes": "3000"})
    lines = [
        b'{"stream": "s%d", "text": "%s"}' % (n % 3, b"x" * (5000 if n in {40, 41, 90} else 50)) for n in range(100)
    ]
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(lines))
    try:
        summary = asyncio.run(feed_files(workplace.settings, [path], topic, None, asyncio.Event()))
        arrived = read_to_end(workplace.settings.kafka, topic)
    finally:
        delete_topics(workplace.settings.kafka, [topic])
    assert summary == (97, 3)
    assert sorted(record.value for record in arrived) == sorted(line for line in lines if len(line) < 1000)
    for stream in (b"s0", b"s1", b"s2"):
        of_stream = [line for line in lines if len(line) < 1000 and stream in line]
        assert [record.value for record in arrived if record.key == stream] == of_stream
    named = [record.getMessage() for record in caplog.records if record.action == "feed_refused"]
    assert [message.split(": ")[:2] for message in named] == [[f"{path}:{n}", "too_large"] for n in (41, 42, 91)]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 0)])
def test_an_interrupted_feed_of_standard_input_says_how_far_it_came_and_ends_as_programs_do(
    workplace: Workplace, number: int, status: int
) -> None:
    command = [sys.executable, "-m", "worker.cli", "feed", "-", "--topic", workplace.topic]
    environment = os.environ | workplace.environment()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as feed:
        feed.stdin.write(b'{"stream": "s", "text": "one"}\n{"stream": "s", "text": "two"}\n')
        feed.stdin.flush()
        assert len(read_count(workplace.settings.kafka, workplace.topic, count=2)) == 2, "sent while the pipe is open"
        feed.send_signal(number)
        output, errors = feed.stdout.read(), feed.stderr.read()
        assert feed.wait(60) == status
    assert b"2 records sent" in output
    assert b"Kafka has 2 records, the last of them standard input:2" in errors
    assert b"Traceback" not in errors


def test_a_missing_topic_is_named_with_what_to_do(workplace: Workplace) -> None:
    settings = workplace.settings.model_copy(update={"request_timeout_s": 4.0})
    record = FeedRecord(f"{workplace.topic}.away", b"s", b"{}", 0)
    with pytest.raises(TopicsError, match="sentiment topics"):
        asyncio.run(send_feed(settings, [record], None, asyncio.Event()))


def test_a_kafka_that_does_not_answer_is_named_with_what_to_do() -> None:
    settings = load_settings(kafka=f"127.0.0.1:{free_port()}", request_timeout_s=1)
    with pytest.raises(DependencyError, match=f"Kafka at {settings.kafka}"):
        asyncio.run(send_feed(settings, [], None, asyncio.Event()))


def test_a_kafka_that_goes_away_ends_the_feed_with_an_error(workplace: Workplace) -> None:
    settings = workplace.settings.model_copy(update={"request_timeout_s": 4.0})
    records = simulated(workplace)

    async def broken() -> int:
        sending = asyncio.create_task(send_feed(settings, records, 1000, asyncio.Event()))
        await asyncio.sleep(0.5)
        workplace.stack.brokers[0].pause()
        return await sending

    try:
        with pytest.raises(DependencyError):
            asyncio.run(broken())
    finally:
        workplace.stack.brokers[0].resume()
