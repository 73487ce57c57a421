"""A model change: a shadow builds the new model's states, and workers of that model go on with them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests import kafka_tools
from tests.checkpoints import save_tiny_checkpoint
from tests.system.inputs import STREAMS, mixed, tweets
from tests.system.oracle import Expectation, Oracle
from tests.system.scene import Scene
from tests.system.verifier import Report, verify
from tests.system.worker_process import WorkerProcess
from tests.workplace import Workplace
from worker.kafka.topics import ensure_topics
from worker.records.comparison import ComparisonEvent
from worker.settings import ENV_PREFIX

NUM_RECORDS = 300
MAX_UNDECIDED = 3


class ModelChange:
    """A scene with two models: `old`, which its workers run by default, and `new`."""

    def __init__(self, scene: Scene, new: Path) -> None:
        self.scene = scene
        settings = scene.workplace.settings
        self.checkpoints = {"old": scene.checkpoint, "new": new}
        self.oracles = {"old": scene.oracle, "new": Oracle(settings, new)}
        self.shadow_topic, self.comparisons_topic = f"{settings.group}.shadow", f"{settings.group}.comparisons"
        self.topics = {"shadow_topic": self.shadow_topic, "comparisons_topic": self.comparisons_topic}
        ensure_topics(settings.model_copy(update=self.topics).of_shadow(""))

    def worker(self, model: str, **flags: object) -> WorkerProcess:
        """A worker, which is not started."""
        return self.scene.worker(checkpoint=self.checkpoints[model], **flags)

    def shadow(self, model: str) -> WorkerProcess:
        """A shadow that runs."""
        return self.scene.start_worker(shadow=True, **self.topics, checkpoint=self.checkpoints[model])

    def offsets(self) -> dict[tuple[str, int], int]:
        """The offsets of the group."""
        settings = self.scene.workplace.settings
        return dict(kafka_tools.committed(settings.kafka, settings.group))

    def shadow_offsets(self, model: str) -> dict[tuple[str, int], int]:
        """The offsets of the shadow's group."""
        settings = self.scene.workplace.settings
        group = f"{settings.group}.shadow.{self.oracles[model].fingerprint}"
        return dict(kafka_tools.committed(settings.kafka, group))

    def compare(self) -> list[dict[str, Any]]:
        """What `sentiment models compare --json` prints."""
        environment = self.scene.workplace.environment() | {ENV_PREFIX + "SHADOW_TOPIC": self.shadow_topic}
        command = [sys.executable, "-m", "worker.cli", "models", "compare", "--json"]
        done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def comparisons(self) -> list[ComparisonEvent]:
        """What shadows have published of their comparisons by now."""
        found = kafka_tools.read_to_end(self.scene.workplace.settings.kafka, self.comparisons_topic)
        return [msgspec.json.decode(one.value, type=ComparisonEvent) for one in found]

    def models(self) -> dict[str, str]:
        """The model of each event, in the order of the events."""
        settings = self.scene.workplace.settings
        names = {oracle.fingerprint: name for name, oracle in self.oracles.items()}
        events = [json.loads(one.value) for one in kafka_tools.read_to_end(settings.kafka, settings.events_topic)]
        return {event["id"]: names[event["model"]["fingerprint"]] for event in events}

    def courses(self) -> set[tuple[str, ...]]:
        """For each partition, the models of its events one after the other."""
        by_partition: dict[str, dict[int, str]] = defaultdict(dict)
        for event_id, model in self.models().items():
            partition, _, offset = event_id.rpartition("-")
            by_partition[partition][int(offset)] = model
        return {
            tuple(model for model, _ in groupby(events[offset] for offset in sorted(events)))
            for events in by_partition.values()
        }

    def report(self, last: str) -> Report:
        """Every event as its own model makes it from the whole log, and the states as those of the model `last`."""
        expected = {name: oracle.expect(self.scene.sent) for name, oracle in self.oracles.items()}
        models = self.models()
        all_of_one = expected[last]
        chosen = {one: expected[models.get(one, last)] for one in all_of_one.events}
        expectation = Expectation(
            events={one: found.events[one] for one, found in chosen.items()},
            dead_letters=all_of_one.dead_letters,
            shifts={one for one, found in chosen.items() if one in found.shifts},
            states=all_of_one.states,
        )
        return verify(self.scene.workplace, self.oracles[last], expectation)


@pytest.fixture
def change(make_scene: Callable[..., Scene], tmp_path: Path) -> ModelChange:
    """Of static members: one that is killed and started again does not wait for its own session to end."""
    return ModelChange(make_scene(instance_id="only"), save_tiny_checkpoint(tmp_path / "new", seed=2))


def test_a_shadow_builds_states_beside_the_group_publishes_to_its_own_topic_and_is_never_ahead(
    change: ModelChange,
) -> None:
    scene, settings = change.scene, change.scene.workplace.settings
    scene.send(mixed(NUM_RECORDS, seed=1))
    shadow = change.shadow("new")
    worker = scene.start_worker()
    scene.wait_until_done()
    worker.kill()
    # Nobody serves these yet.
    scene.send(tweets(NUM_RECORDS, seed=2))
    scene.wait_until(lambda: change.shadow_offsets("new") == change.offsets())
    shadow.kill()
    shadow.start()
    assert change.shadow_offsets("new") == change.offsets()
    worker.start()
    scene.wait_until_flushed()
    scene.wait_until(lambda: change.shadow_offsets("new") == change.offsets())
    assert shadow.metric("shadow_lag_records") == 0
    # It compares from its start on, and was there before the worker.
    scene.wait_until(lambda: sum(one.num_compared for one in change.comparisons()) >= NUM_RECORDS)
    assert 0 <= shadow.metric("shadow_agreement_ratio") <= 1
    report = scene.finish()
    assert report.exact, report
    # The group's dead letters and shifts are the old model's.
    expected = change.oracles["new"].expect(scene.sent)
    expected.shifts = scene.oracle.expect(scene.sent).shifts
    seen = Workplace(
        scene.workplace.stack, settings.model_copy(update={"events_topic": change.shadow_topic}), scene.workplace.flags
    )
    report = verify(seen, change.oracles["new"], expected)
    assert report.exact, report
    served = scene.oracle.expect(scene.sent).events
    (compared,) = change.compare()
    assert (compared["served"]["name"], compared["shadow"]["name"]) == ("tiny-1", "tiny-2")
    assert compared["num_compared"] == len(served)
    moves = Counter(
        f"{served[one].label}>{event.label}"
        for one, event in expected.events.items()
        if served[one].label != event.label
    )
    # Where two labels are as good as equal, either is right.
    assert sum((moves - Counter(compared["moved"])).values()) <= MAX_UNDECIDED
    assert compared["num_agreeing"] == len(served) - sum(compared["moved"].values())
    assert sum(one["num_compared"] for one in compared["languages"].values()) == len(served)
    published = change.comparisons()
    assert {(one.served.name, one.shadow.name) for one in published} == {("tiny-1", "tiny-2")}
    assert sum(one.num_compared for one in published) <= len(served)
    for one in published:
        assert sum(one.moved.values()) == one.num_compared - one.num_agreeing
        assert sum(of_language.num_compared for of_language in one.languages.values()) == one.num_compared
    assert all(one.until <= following.since for one, following in pairwise(published))
    moved = sum((Counter(one.moved) for one in published), Counter())
    assert moved <= Counter(compared["moved"])


def test_workers_go_on_with_a_shadows_states_at_one_offset_a_partition_under_load_and_back_again(
    change: ModelChange,
) -> None:
    scene = change.scene
    old = scene.start_worker(instance_id="only")
    first_shadow = change.shadow("new")
    with scene.feeding():
        first_shadow.wait_for_metric("events_total", NUM_RECORDS)
        # The same static member: the group gives it the partitions of the worker whose place it takes.
        new = change.worker("new", instance_id="only")
        new.start()
        new.wait_for_metric("events_total", NUM_RECORDS)
        assert old.wait_for_end() == 1, old.tail()
        assert new.metric("rebuilt_records_total") < NUM_RECORDS
        second_shadow = change.shadow("old")
        second_shadow.wait_for_metric("events_total", 1)
        back = change.worker("old", instance_id="only")
        back.start()
        back.wait_for_metric("events_total", NUM_RECORDS)
        assert new.wait_for_end() == 1, new.tail()
        assert back.metric("rebuilt_records_total") < NUM_RECORDS
        # The first shadow follows the group again, from where the workers of its model left the states.
        num_events = first_shadow.metric("events_total")
        first_shadow.wait_for_metric("events_total", num_events + 1)
    scene.wait_until_flushed()
    scene.drain()
    report = change.report("old")
    assert report.exact, report
    assert change.courses() == {("old", "new", "old")}


@pytest.mark.slow
def test_a_shadow_and_a_new_worker_that_are_killed_during_the_cut_over_leave_one_event_a_record(
    make_scene: Callable[..., Scene], tmp_path: Path
) -> None:
    scene = make_scene(instance_id="only", max_batch=48, session_timeout_s=6)
    change = ModelChange(scene, save_tiny_checkpoint(tmp_path / "new", seed=2))
    worker = scene.start_worker()
    shadow = change.shadow("new")
    with scene.feeding(streams=STREAMS[:20]):
        for point in ("claimed", "produced:2", "committed"):
            shadow.wait_for_metric("events_total", 1)
            dying = change.worker("new", crash_at=point)
            dying.launch()
            assert dying.wait_for_end() == -signal.SIGKILL, dying.tail()
            shadow.kill()
            # Its place was taken; it takes it back, and the shadow follows it again.
            assert worker.wait_for_end() == 1, worker.tail()
            worker.start()
            shadow.start()
        new = change.worker("new")
        new.start()
        new.wait_for_metric("events_total", NUM_RECORDS)
    scene.oracle = change.oracles["new"]
    scene.wait_until_flushed()
    for one in (shadow, worker):
        one.kill()
    scene.drain()
    report = change.report("new")
    assert report.exact, report
