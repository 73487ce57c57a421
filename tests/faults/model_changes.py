"""The change of the model: workers of another one take the places of those that run, and are killed on the way."""

from __future__ import annotations

import json

from tests import kafka_tools
from tests.checkpoints import save_tiny_checkpoint
from tests.faults.run import SETTLE_TIMEOUT_S, Run, Verdict
from tests.system.oracle import Oracle
from worker.kafka.topics import ensure_topics

MAX_LULL_S = 0.5


def cut_over(run: Run) -> None:
    """Let a shadow build the new model's states, put new workers in the places of the old, and kill both on the way."""
    scene, settings = run.scene, run.scene.workplace.settings
    checkpoint = save_tiny_checkpoint(scene.folder / "new", seed=2)
    topics = {name: f"{settings.group}.{name}" for name in ("shadow_topic", "comparisons_topic")}
    ensure_topics(settings.model_copy(update=topics).of_shadow(""))
    run.start_workers()
    old = list(scene.workers)
    shadow = scene.worker(checkpoint=checkpoint, shadow=True, **topics)
    shadow.launch()
    with run.feeding():
        shadow.wait_for_metric("events_total", run.num_records // 5, SETTLE_TIMEOUT_S)
        for number, before in enumerate(old):
            # Nothing starts the old one again, which ends by itself.
            scene.workers.remove(before)
            run.extra_workers.append(before)
            worker = scene.worker(checkpoint=checkpoint, instance_id=f"member-{number}", max_batch=64)
            run.inject("cut_over", worker)
            worker.launch()
            run.wait_until(lambda before=before: not before.running)  # type: ignore[misc]  # bound at once
            for victim in run.random.sample((shadow, worker), 2):
                run.pause_within(0, MAX_LULL_S)
                victim.kill()
                victim.launch()
    _judge(run, Oracle(settings, checkpoint))
    shadow.kill()
    scene.workers.remove(shadow)
    run.extra_workers.append(shadow)


def _judge(run: Run, new: Oracle) -> None:
    """Each event is what its own model makes of the whole log, and the states are the new model's."""
    scene, settings = run.scene, run.scene.workplace.settings
    old, scene.oracle = scene.oracle, new
    scene.wait_until_flushed(SETTLE_TIMEOUT_S)
    events = (json.loads(one.value) for one in kafka_tools.read_to_end(settings.kafka, settings.events_topic))
    of_old = {event["id"] for event in events if event["model"]["fingerprint"] == old.fingerprint}
    before, expectation = old.expect(scene.sent), new.expect(scene.sent)
    expectation.events = {one: (before if one in of_old else expectation).events[one] for one in expectation.events}
    expectation.shifts = (before.shifts & of_old) | (expectation.shifts - of_old)
    run.verdict = Verdict(expectation, "id")
