"""Kafka's own scripts as the pages call them, on a real broker: the Java classes behind them, with their options."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.admin import ACLFilter, ACLOperation, ACLPermissionType, ACLResourcePatternType, ResourcePatternFilter
from kafka.admin import ResourceType as Kind

from tests.integration.connect.kafka_rights import WORKER
from tests.kafka_tools import TIMEOUT_S, Keyed, create_topics, produce
from tests.servers.kafka_connect import class_path
from tests.servers.secure_kafka import AUTHORIZER
from tests.unit.docs.pages import blocks, commands_of
from worker.stack import LocalStack
from worker.stack.jars import java

PACKAGE = "org.apache.kafka.tools"
CLASSES = {
    "kafka-acls.sh": "AclCommand",
    "kafka-consumer-groups.sh": "consumer.group.ConsumerGroupCommand",
    "kafka-dump-log.sh": "DumpLogSegments",
    "kafka-topics.sh": "TopicCommand",
}
SCRIPTS = [line for _, line in commands_of("kafka-consumer-groups.sh", "kafka-dump-log.sh", "kafka-topics.sh")]
BEFORE = "2026-11-21T05:00:00.000"  # all records
NUM_RECORDS = 90  # more than the offsets that the pages name


@pytest.fixture(scope="module")
def broker() -> Iterator[LocalStack]:
    """A broker with an authorizer, a group that has read one of its topics to the end, and nobody in the group."""
    with LocalStack(kafka_options=AUTHORIZER) as stack:
        create_topics(stack.kafka, {"tweets": 1})
        produce(stack.kafka, "tweets", [Keyed(b"acme", b"{}")] * NUM_RECORDS)
        with KafkaConsumer(bootstrap_servers=stack.kafka, group_id="sentiment", enable_auto_commit=False) as consumer:
            consumer.commit({TopicPartition("tweets", 0): OffsetAndMetadata(NUM_RECORDS, "", -1)})
        yield stack


def output(script: str, broker: LocalStack, folder: Path) -> str:
    """What a script of bash says, run on the broker's machine, in the folder of its log."""
    for name, of_kafka in CLASSES.items():
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec {java()} -cp {class_path("kafka-tools")} {PACKAGE}.{of_kafka} "$@"\n')
        program.chmod(0o755)
    meant = dict.fromkeys(("broker:9092", "HOST", "SECOND"), broker.kafka) | {
        "GROUP": "sentiment",
        " T ": f" {BEFORE} ",
    }
    for placeholder, value in meant.items():
        script = script.replace(placeholder, value)
    done = subprocess.run(
        ["bash", "-ec", script],
        cwd=next(broker.folder.glob("**/tweets-0")), env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_of_the_pages_succeeds_on_a_broker(script: str, broker: LocalStack, tmp_path: Path) -> None:
    said = output(script, broker, tmp_path)
    assert "rror" not in said
    if script.startswith("kafka-dump-log.sh"):
        assert f"lastOffset: {NUM_RECORDS - 1} " in said
    elif script.startswith("kafka-topics.sh"):
        with KafkaAdminClient(bootstrap_servers=broker.kafka) as admin:
            (topic,) = admin.describe_topics(["tweets"])
            assert len(topic["partitions"]) == int(script.rsplit(maxsplit=1)[-1])
    elif script.endswith("--state"):
        assert re.search(r"sentiment .* Empty ", said), said
    else:
        offset = re.search(r"--to-offset (\d+)", script)
        assert re.search(rf"sentiment +tweets +0 +{offset[1] if offset else 0}\s", said), said


def test_the_rights_of_the_page_are_what_kafka_then_lists(broker: LocalStack, tmp_path: Path) -> None:
    (block,) = [one for one in blocks("sh") if "acl()" in one.text]
    output(block.text, broker, tmp_path)
    anything = ResourcePatternFilter(Kind.ANY, None, ACLResourcePatternType.ANY)
    with KafkaAdminClient(bootstrap_servers=broker.kafka) as admin:
        entries, _ = admin.describe_acls(ACLFilter(None, None, ACLOperation.ANY, ACLPermissionType.ANY, anything))
    listed = {
        (one.principal, one.operation, one.resource_pattern.resource_type, one.resource_pattern.resource_name,
         one.resource_pattern.pattern_type is ACLResourcePatternType.PREFIXED)
        for one in entries
    }  # fmt: skip
    assert listed == {("User:alice", right.operation, right.kind, right.name, right.is_prefix) for right in WORKER}
