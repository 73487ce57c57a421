"""A cluster is lost whose topics are mirrored to another one: what an operator does there, and what comes of it."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests import kafka_tools
from tests.servers.mirror_maker import MirrorMaker
from tests.system.inputs import Input, Sent, tweets
from tests.system.log_tools import move_offsets, offsets_since, send_aborted
from tests.system.oracle import Expectation
from tests.system.scene import QUICK, Scene
from tests.system.verifier import verify
from tests.workplace import Workplace, new_workplace
from worker.settings import load_settings
from worker.stack import LocalStack

NUM_RECORDS = 300
NUM_ABORTED = 100
NUM_CHUNKS, CHUNK_RECORDS = 8, 40
# A shift is named by its place alone, which differs between the clusters.
NO_SHIFTS = {"shift_threshold": 1000}


class Clusters:
    """A scene on each of two clusters, with the same topics and group; all inputs have ids of their own."""

    def __init__(self, first: LocalStack, second: LocalStack, checkpoint: Path, folder: Path) -> None:
        workplace = new_workplace(first, inputs=("tweets",), **QUICK | NO_SHIFTS)
        flags = workplace.flags | {"kafka": second.kafka, "redis": second.redis}
        self.first = Scene(workplace, checkpoint, folder / "first")
        self.second = Scene(Workplace(second, load_settings(**flags), flags), checkpoint, folder / "second")
        self._numbers = count()

    def inputs(self, num_records: int) -> list[Input]:
        """Tweets of now."""
        seed = next(self._numbers)
        return [replace(one, record_id=f"{seed}-{place}") for place, one in enumerate(tweets(num_records, seed))]

    def mirrored(self) -> list[Sent]:
        """What the second cluster has of the first one's input, at its places there."""
        inputs = {one.input.record_id: one.input for one in self.first.sent}
        found = kafka_tools.read_to_end(self.second.workplace.settings.kafka, self.second.workplace.topic)
        return [Sent(one.topic, one.partition, one.offset, inputs[json.loads(one.value)["id"]]) for one in found]

    def events(self) -> list[dict[str, Any]]:
        """The events on the second cluster."""
        settings = self.second.workplace.settings
        return [json.loads(one.value) for one in kafka_tools.read_to_end(settings.kafka, settings.events_topic)]


@pytest.fixture
def clusters(checkpoint: Path, tmp_path: Path) -> Iterator[Clusters]:
    with ExitStack() as ended:
        first, second = (ended.enter_context(LocalStack()) for _ in range(2))
        made = Clusters(first, second, checkpoint, tmp_path)
        made.first.workplace.create_topics()
        for scene in (made.first, made.second):
            ended.callback(scene.close)
        yield made


def by_partition(sent: list[Sent]) -> dict[int, list[str | None]]:
    """The ids of each partition's records, in their order."""
    found: dict[int, list[str | None]] = defaultdict(list)
    for one in sorted(sent, key=lambda one: one[:3]):
        found[one.partition].append(one.input.record_id)
    return found


def by_record_id(expected: Expectation, sent: list[Sent]) -> Expectation:
    """The same, with the events named by the ids in the records."""
    names = {one.id: one.input.record_id or "" for one in sent}
    return replace(expected, events={names[one]: event for one, event in expected.events.items()})


@pytest.mark.slow
def test_each_mirrored_record_has_its_event_on_the_other_cluster_and_only_those_since_the_chosen_time_have_two(
    clusters: Clusters, tmp_path: Path
) -> None:
    first, second = clusters.first, clusters.second
    here, there, topic = first.workplace.settings, second.workplace.settings, first.workplace.topic
    # The mirror leaves these out, so that a record has another offset there.
    send_aborted(here, topic, clusters.inputs(NUM_ABORTED))
    kafkas = here.kafka, there.kafka
    with MirrorMaker(tmp_path / "mirror", kafkas, first.workplace.all_topics, here.group) as mirror:
        worker = first.start_worker()
        first.send(clusters.inputs(NUM_RECORDS))
        second.wait_until(lambda: len(clusters.events()) == NUM_RECORDS)
        second.wait_until(lambda: len(kafka_tools.committed(there.kafka, there.group)) == there.partitions)
        # All events up to here are mirrored. Those of what follows may not be, when the cluster is lost.
        chosen_ms = 1 + max(one.input.time_ms for one in first.sent)
        for _ in range(NUM_CHUNKS):
            first.send(clusters.inputs(CHUNK_RECORDS))
        for server in (*first.workplace.stack.brokers, worker, mirror):
            server.kill()
    second.sent = mirrored = clusters.mirrored()
    before = by_partition(first.sent)
    assert all(ids == before[number][: len(ids)] for number, ids in by_partition(mirrored).items())
    answered = {event["record_id"] for event in clusters.events()}
    since = offsets_since(there, topic, chosen_ms)
    move_offsets(there, since)
    second.start_worker()
    second.send(clusters.inputs(NUM_RECORDS))
    second.wait_until_flushed()
    second.drain()
    expected = by_record_id(second.oracle.expect(second.sent), second.sent)
    report = verify(second.workplace, second.oracle, expected, id_field="record_id")
    later = {one.input.record_id for one in mirrored if one.offset >= since[topic, one.partition]}
    assert answered & later
    assert Counter(report.twice) == Counter(answered & later), report
    report.twice.clear()
    assert report.exact, report
    # An id is made of the offset, so that here it names two records: only record_id tells a repeated event.
    records = defaultdict(set)
    for event in clusters.events():
        records[event["id"]].add(event["record_id"])
    assert any(len(of_id) > 1 for of_id in records.values())
