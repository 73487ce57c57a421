"""What Kafka and Redis say of a partition differs, or the log no longer reaches back: C, P and the start of the log."""

from __future__ import annotations

from dataclasses import replace

from tests.system.inputs import Sent, tweets
from tests.system.log_tools import delete_records, forget_offsets, move_offsets
from tests.system.scene import Scene
from tests.system.test_redis_faults import forget_everything

NUM_RECORDS = 400


def process(scene: Scene, seed: int = 1) -> list[Sent]:
    """Send some records, and let a worker that ends then work them off."""
    sent = scene.send(tweets(NUM_RECORDS, seed=seed))
    scene.launch_worker()
    scene.wait_until_flushed()
    scene.drain()
    return sent


def middles(sent: list[Sent]) -> dict[tuple[str, int], int]:
    """For every partition the offset in the middle of its records."""
    places: dict[tuple[str, int], list[int]] = {}
    for record in sent:
        places.setdefault((record.topic, record.partition), []).append(record.offset)
    return {place: offsets[len(offsets) // 2] for place, offsets in places.items()}


def test_where_the_groups_offset_is_gone_it_goes_on_at_the_position_of_the_states(scene: Scene) -> None:
    sent = process(scene)
    forget_offsets(scene.workplace.settings, middles(sent))
    scene.send(tweets(NUM_RECORDS, seed=2))
    worker = scene.launch_worker()
    scene.wait_until_done()
    assert worker.metric("position_kept_total") == scene.workplace.settings.partitions
    report = scene.finish()
    assert report.exact, report


def test_offsets_that_were_set_back_publish_again_what_was_published_before(scene: Scene) -> None:
    begins = middles(process(scene))
    move_offsets(scene.workplace.settings, begins)
    scene.launch_worker()
    report = scene.finish()
    again = [record.id for record in scene.sent if record.offset >= begins[record.topic, record.partition]]
    assert sorted(report.twice) == sorted(again)
    report.twice.clear()
    assert report.exact, report


def test_streams_whose_beginning_the_log_has_lost_begin_anew_and_say_so(scene: Scene) -> None:
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
    told: set[str] = set()
    for record in sorted(after):
        event = rebuilt.events[record.id]
        expectation.events[record.id] = event if record.input.stream in told else replace(event, reset="history_lost")
        told.add(record.input.stream)
    expectation.states = rebuilt.states
    report = scene.report(expectation)
    assert report.exact, report
