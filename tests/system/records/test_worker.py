"""The whole worker without faults: every record gives one event, in order, as in the offline reference."""

from __future__ import annotations

from collections.abc import Callable

from tests.system.inputs import STREAMS, mixed, tweets
from tests.system.scene import Scene


def test_a_thousand_tweets_give_the_events_of_the_reference(scene: Scene) -> None:
    scene.send(tweets(1000, streams=STREAMS[:12]))
    scene.launch_worker()
    report = scene.finish()
    assert report.exact, report
    assert report.num_events == 1000
    assert report.num_shifts


def test_streams_with_one_name_in_two_topics_are_two_streams(make_scene: Callable[..., Scene]) -> None:
    scene = make_scene(inputs=("tweets", "reviews"))
    for seed, topic in enumerate(scene.workplace.settings.topics):
        scene.send(mixed(500, seed), topic)
    scene.launch_worker()
    report = scene.finish()
    assert report.exact, report
