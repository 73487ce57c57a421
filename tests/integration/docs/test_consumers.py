"""The examples of consumers read what was committed and nothing else; what they read is valid under the schema."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from kafka import KafkaProducer

from tests.factories.records import new_event
from tests.kafka_tools import TIMEOUT_S, read_to_end
from tests.servers.kafka_connect import KafkaConnect, class_path
from tests.unit.docs.pages import commands_of
from tests.workplace import Workplace
from worker.records.codec import encode
from worker.records.schemas import FOLDER
from worker.stack.jars import java

EXAMPLES = Path(__file__).parents[3] / "examples"
PAGE = Path(__file__).parents[3] / "docs/events.md"
NUM_EVENTS = 5


@pytest.fixture
def events(workplace: Workplace) -> Workplace:
    """Events in a committed transaction, and one in an aborted one."""
    settings = workplace.settings
    with KafkaProducer(bootstrap_servers=settings.kafka, transactional_id=f"{settings.group}.events") as producer:
        producer.init_transactions()
        for score, commits in [(-0.5, False), (0.75, True)]:
            producer.begin_transaction()
            for n in range(NUM_EVENTS):
                event = new_event(stream=f"@acme{n}", score=score)
                producer.send(settings.events_topic, encode(event), event.stream.encode())
            producer.flush()
            if commits:
                producer.commit_transaction()
            else:
                producer.abort_transaction()
    return workplace


@pytest.mark.parametrize("example", ["confluent_kafka_consumer.py", "kafka_python_consumer.py"])
def test_an_example_prints_what_was_committed(events: Workplace, example: str) -> None:
    settings = events.settings
    command = [sys.executable, str(EXAMPLES / example), settings.kafka, settings.events_topic]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        lines = sorted(running.stdout.readline().strip() for _ in range(NUM_EVENTS))
        running.terminate()
    assert lines == [f"@acme{n} positive 0.75" for n in range(NUM_EVENTS)]


def test_the_console_consumer_prints_what_was_committed(events: Workplace) -> None:
    settings = events.settings
    command = [str(java()), "-cp", class_path("kafka-tools"), "org.apache.kafka.tools.consumer.ConsoleConsumer"]
    ((_, line),) = commands_of("kafka-console-consumer.sh")
    options = line.replace("HOST:PORT", settings.kafka).replace("sentiment.events", settings.events_topic).split()[1:]
    output = subprocess.run(
        [*command, *options, "--max-messages", str(NUM_EVENTS)],
        stdout=subprocess.PIPE, text=True, check=True, timeout=TIMEOUT_S,
    ).stdout  # fmt: skip
    shown = [line.split("\t") for line in output.splitlines()]
    assert sorted((key, json.loads(value)["score"]) for key, value in shown) == [
        (f"@acme{n}", 0.75) for n in range(NUM_EVENTS)
    ]


def connector_of_the_page(topic: str) -> dict[str, str]:
    """The properties that the page shows for a sink of Kafka Connect, with `topic` as its topic."""
    section = PAGE.read_text().split("Kafka Connect, in the configuration of a sink:")[1]
    block = section.split("```")[1].strip()
    properties = dict(line.split("=", 1) for line in block.splitlines()[1:])  # the first is the language
    assert properties["topics"] == "sentiment.events"
    return properties | {"topics": topic}


def from_java_map(line: str) -> Any:
    """The map that Java's `Map.toString` shows, with values as strings, none of which may contain one of `[]{}=,`."""
    return json.loads(re.sub(r"[^][{}=,]+", lambda word: json.dumps(word[0].strip()), line).replace("=", ":"))


def with_strings(value: Any) -> Any:
    """The same JSON with every value as a string."""
    if isinstance(value, dict):
        return {name: with_strings(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [with_strings(inner) for inner in value]
    return value if isinstance(value, str) else json.dumps(value)


def test_kafka_connect_passes_each_committed_event_on_once_with_its_fields(events: Workplace, tmp_path: Path) -> None:
    settings = events.settings
    expected = [with_strings(json.loads(record.value)) for record in read_to_end(settings.kafka, settings.events_topic)]
    with KafkaConnect(tmp_path, settings.kafka, connector_of_the_page(settings.events_topic)) as connect:
        deadline = time.monotonic() + TIMEOUT_S
        while len(connect.lines()) < NUM_EVENTS and time.monotonic() < deadline:
            time.sleep(0.1)
        connect.stop()  # commits the offsets of what it wrote
        written = [from_java_map(line) for line in connect.lines()]
    assert len(written) == NUM_EVENTS, connect.tail()
    assert sorted(written, key=lambda event: event["stream"]) == sorted(expected, key=lambda event: event["stream"])


def test_an_event_on_the_topic_is_valid_under_the_published_schema(events: Workplace) -> None:
    validator = jsonschema.Draft202012Validator(json.loads((FOLDER / "event.json").read_text()))
    records = read_to_end(events.settings.kafka, events.settings.events_topic)
    assert len(records) == NUM_EVENTS
    for record in records:
        validator.validate(json.loads(record.value))
