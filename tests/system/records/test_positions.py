"""Kafka and Redis disagree about a partition, or the log no longer reaches back far enough."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.system.failures.test_redis_faults import forget_everything
from tests.system.inputs import STREAMS, Input, Sent, now_ms, tweets
from tests.system.log_tools import delete_records, forget_offsets, move_offsets, offsets_since
from tests.system.scene import Scene
from worker.errors import SentimentError
from worker.tools.stream_view import erase_state, show_state

NUM_RECORDS = 400


def process(scene: Scene, seed: int = 1) -> list[Sent]:
    """Send some records, and let a worker process them and end."""
    sent = scene.send(tweets(NUM_RECORDS, seed=seed))
    scene.launch_worker()
    scene.wait_until_flushed()
    scene.drain()
    return sent


def middles(sent: list[Sent]) -> dict[tuple[str, int], int]:
    """The offset of the middle record of every partition."""
    places: dict[tuple[str, int], list[int]] = {}
    for record in sent:
        places.setdefault((record.topic, record.partition), []).append(record.offset)
    return {place: offsets[len(offsets) // 2] for place, offsets in places.items()}


def test_without_a_group_offset_a_worker_continues_at_the_position_of_the_states(scene: Scene) -> None:
    sent = process(scene)
    forget_offsets(scene.workplace.settings, middles(sent))
    scene.send(tweets(NUM_RECORDS, seed=2))
    worker = scene.launch_worker()
    scene.wait_until_done()
    assert worker.metric("position_kept_total") == scene.workplace.settings.partitions
    report = scene.finish()
    assert report.exact, report


def test_events_are_published_again_after_the_groups_offsets_are_set_back(scene: Scene) -> None:
    begins = middles(process(scene))
    move_offsets(scene.workplace.settings, begins)
    scene.launch_worker()
    report = scene.finish()
    again = [record.id for record in scene.sent if record.offset >= begins[record.topic, record.partition]]
    assert sorted(report.twice) == sorted(again)
    report.twice.clear()
    assert report.exact, report


def test_a_replay_from_a_time_publishes_again_what_came_since_and_erased_streams_stay_erased(
    make_scene: Callable[..., Scene],
) -> None:
    # One partition: the command's client chooses it by Kafka's hash of the key, and these tests by another one.
    scene = make_scene(partitions=1)
    settings = scene.workplace.settings.model_copy(update={"checkpoint": scene.checkpoint})
    kept, erased_before, erased_since = STREAMS[:3]

    def erase(stream: str) -> None:
        place = asyncio.run(erase_state(settings, scene.workplace.topic, stream))
        scene.sent.append(Sent(scene.workplace.topic, *place, Input(stream, None, now_ms())))

    scene.send(tweets(NUM_RECORDS))
    erase(erased_before)
    begin_ms = now_ms() + 1
    scene.send(tweets(NUM_RECORDS, seed=2, streams=(kept, erased_since), start_ms=begin_ms))
    erase(erased_since)
    scene.launch_worker()
    scene.wait_until_flushed()
    scene.drain()
    begins = offsets_since(settings, scene.workplace.topic, begin_ms)
    move_offsets(settings, begins)
    forget_everything(scene)
    worker = scene.launch_worker()
    scene.wait_until_flushed()
    assert worker.metric("rebuilt_records_total") == NUM_RECORDS + 1
    report = scene.finish()
    again = [one.id for one in scene.sent if one.offset > NUM_RECORDS and one.input.text is not None]
    assert begins == {(scene.workplace.topic, 0): NUM_RECORDS + 1}
    assert len(again) == NUM_RECORDS
    shifts = scene.oracle.expect(scene.sent).shifts & set(again)
    assert sorted(report.twice) == sorted([*again, *shifts])
    report.twice.clear()
    assert report.exact, report
    shown = asyncio.run(show_state(settings, scene.workplace.topic, kept))
    assert shown.entry.num_records == sum(one.input.stream == kept for one in scene.sent)
    for stream in (erased_before, erased_since):
        with pytest.raises(SentimentError, match="no state of stream"):
            asyncio.run(show_state(settings, scene.workplace.topic, stream))


def test_streams_restart_and_report_it_when_the_log_has_lost_their_beginning(scene: Scene) -> None:
    before = process(scene)
    expectation = scene.oracle.expect(before)
    begins = middles(before)
    forget_everything(scene)
    delete_records(scene.workplace.settings, begins)
    after = scene.send(tweets(NUM_RECORDS, seed=2))
    scene.launch_worker()
    scene.wait_until_flushed()
    scene.drain()

    held = [record for record in before if record.offset >= begins[record.topic, record.partition]]
    rebuilt = scene.oracle.expect(held + after)
    reported: set[str] = set()
    for record in sorted(after):
        event = rebuilt.events[record.id]
        expectation.events[record.id] = (
            event if record.input.stream in reported else replace(event, reset="history_lost")
        )
        reported.add(record.input.stream)
    expectation.states = rebuilt.states
    report = scene.report(expectation)
    assert report.exact, report
