"""`sentiment check` does what the worker will do, and tells what it found."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import redis

from tests import kafka_tools
from tests.kafka_tools import Keyed
from tests.workplace import Workplace
from worker.errors import EXIT_OK
from worker.tools.checks import Finding, check_all


def found(workplace: Workplace) -> dict[str, Finding]:
    return {finding.name: finding for finding in check_all(workplace.settings)}


@pytest.fixture
def place(make_workplace: Callable[..., Workplace]) -> Workplace:
    return make_workplace(partitions=2, checkpoint="small")


def test_it_tells_versions_counts_members_and_the_newest_records(place: Workplace) -> None:
    tweets, reviews = place.settings.topics
    value = json.dumps({"text": "fine"}).encode()
    kafka_tools.produce(place.stack.kafka, tweets, [Keyed(b"a", value)] * 3)
    kafka_tools.produce(place.stack.kafka, reviews, [Keyed(b"a", b'{"body": "fine"}')])
    findings = found(place)
    assert {finding.exit_code for finding in findings.values()} == {EXIT_OK}, findings
    kafka, topics, states = (findings[name].detail for name in ("kafka", "topics", "redis"))
    assert "version 4." in kafka
    assert "a transaction begins and aborts" in kafka
    assert f"group {place.settings.group} has 0 members" in kafka
    assert f"{tweets} (2 partitions" in topics
    assert "not compressed, with a text" in topics
    assert "NO TEXT (no_text" in topics
    assert f"{place.settings.events_topic} (2)" in topics
    assert "takes claims and states" in states


def test_it_leaves_nothing_behind(place: Workplace) -> None:
    found(place)
    assert kafka_tools.read_to_end(place.stack.kafka, *place.all_topics) == []
    assert kafka_tools.committed(place.stack.kafka, place.settings.group) == {}
    with redis.Redis.from_url(place.stack.redis) as client:
        left = list(client.scan_iter(f"{{{place.settings.group}:*", count=1000))
    assert [key for key in left if b"probe" not in key] == []


def test_a_topic_without_records_is_said_to_have_none(place: Workplace) -> None:
    assert found(place)["topics"].detail.count("no record yet") == 2
