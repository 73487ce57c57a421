"""Negative controls: the verifier finds the bugs that are planted in a worker."""

from __future__ import annotations

import signal
from collections.abc import Callable

from tests.system.failures.test_redis_faults import forget_everything
from tests.system.inputs import STREAMS, mixed, tweets
from tests.system.planted import program_with
from tests.system.scene import Scene

NUM_RECORDS = 300


def test_the_verifier_finds_repeated_and_reordered_events_missing_dead_letters_and_wrong_scores(
    scene: Scene,
) -> None:
    sent = scene.send(mixed(NUM_RECORDS, seed=1))
    worker = scene.launch_worker("--until-end", program=program_with("twice", "backwards", "no_letters", "nudged"))
    assert worker.wait_for_end() == 0, worker.tail()
    report = scene.report()
    assert report.twice
    assert report.out_of_order
    assert sorted(report.lost) == sorted(one.id for one in sent if one.input.reason is not None)
    assert len(report.wrong_score) == report.num_events
    assert not (report.wrong_label or report.wrong_state or report.unknown)


def test_the_verifier_finds_offsets_committed_before_the_events(make_scene: Callable[..., Scene]) -> None:
    scene = make_scene(instance_id="only", max_batch=48)
    scene.send(tweets(NUM_RECORDS))
    worker = scene.launch_worker(program=program_with("offset_first"), crash_at="produced:3")
    assert worker.wait_for_end() == -signal.SIGKILL, worker.tail()
    scene.launch_worker()
    report = scene.finish()
    assert report.lost
    assert not report.twice


def test_the_verifier_finds_a_flush_that_ignores_lost_states(scene: Scene) -> None:
    scene.send(tweets(NUM_RECORDS))
    scene.launch_worker(program=program_with("changed_is_ok"))
    scene.wait_until_flushed()
    forget_everything(scene)
    scene.send(tweets(NUM_RECORDS, seed=2, streams=STREAMS[:20]))
    report = scene.finish()
    assert report.wrong_state
    assert not (report.lost or report.twice or report.wrong_score)


def test_the_verifier_finds_states_that_are_not_replayed_up_to_the_groups_offset(
    make_scene: Callable[..., Scene],
) -> None:
    scene = make_scene(instance_id="only", max_batch=48)
    scene.send(tweets(NUM_RECORDS))
    worker = scene.launch_worker(crash_at="applied:4", flush_interval_s=600)
    assert worker.wait_for_end() == -signal.SIGKILL, worker.tail()
    scene.launch_worker(program=program_with("no_replay"))
    report = scene.finish()
    assert report.wrong_score
    assert report.wrong_state
    assert not (report.lost or report.twice)
