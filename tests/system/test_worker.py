"""The whole worker without faults: every record once, in order, as the offline reference has it."""

from __future__ import annotations

from collections.abc import Callable

from tests.system.inputs import STREAMS, mixed, tweets
from tests.system.scene import Scene


def test_a_thousand_tweets_come_out_as_the_reference_reads_them(scene: Scene) -> None:
    scene.send(tweets(1000, streams=STREAMS[:12]))
    scene.launch_worker()
    report = scene.finish()
    assert report.exact, report
    assert report.num_events == 1000
    assert report.num_shifts


def test_streams_of_one_name_in_two_topics_are_two_streams(make_scene: Callable[..., Scene]) -> None:
    scene = make_scene(inputs=("tweets", "reviews"))
    for seed, topic in enumerate(scene.workplace.settings.topics):
        scene.send(mixed(500, seed), topic)
    scene.launch_worker()
    report = scene.finish()
    assert report.exact, report
