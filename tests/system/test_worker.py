"""The whole worker without faults: every record once, in order, as the offline reference has it."""

from __future__ import annotations

from tests.system.inputs import tweets
from tests.system.scene import Scene


def test_a_thousand_tweets_come_out_as_the_reference_reads_them(scene: Scene) -> None:
    scene.send(tweets(1000))
    scene.launch_worker()
    report = scene.finish()
    assert report.exact, report
    assert report.num_events == 1000
