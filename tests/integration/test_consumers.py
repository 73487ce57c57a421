"""The examples of consumers read what was committed and nothing else; what they read is valid under the schema."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jgo
import jsonschema
import pytest
from kafka import KafkaProducer

from tests.factories import new_event
from tests.kafka_tools import read_to_end
from tests.workplace import Workplace
from worker.records.codec import encode
from worker.records.schemas import FOLDER
from worker.stack.jars import KAFKA_VERSION, java

EXAMPLES = Path(__file__).parents[2] / "examples"
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
    jars = [artifact.resolve() for artifact in jgo.resolve(f"org.apache.kafka:kafka-tools:{KAFKA_VERSION}")]
    command = [str(java()), "-cp", ":".join(map(str, jars)), "org.apache.kafka.tools.consumer.ConsoleConsumer"]
    options = f"--bootstrap-server {settings.kafka} --topic {settings.events_topic} --from-beginning"
    more = f"--isolation-level read_committed --formatter-property print.key=true --max-messages {NUM_EVENTS}"
    output = subprocess.run(
        [*command, *options.split(), *more.split()], stdout=subprocess.PIPE, text=True, check=True, timeout=120
    ).stdout
    shown = [line.split("\t") for line in output.splitlines()]
    assert sorted((key, json.loads(value)["score"]) for key, value in shown) == [
        (f"@acme{n}", 0.75) for n in range(NUM_EVENTS)
    ]


def test_an_event_on_the_topic_is_valid_under_the_published_schema(events: Workplace) -> None:
    validator = jsonschema.Draft202012Validator(json.loads((FOLDER / "event.json").read_text()))
    records = read_to_end(events.settings.kafka, events.settings.events_topic)
    assert len(records) == NUM_EVENTS
    for record in records:
        validator.validate(json.loads(record.value))
