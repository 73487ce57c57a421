"""What is kept of a stream: pieces of a text, erasures, expiry and skipped records, even in a replay."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from tests import kafka_tools
from tests.system.failures.test_redis_faults import forget_everything
from tests.system.inputs import STREAMS, Input, now_ms, send, tweets
from tests.system.scene import Scene

HOUR_MS = 3_600_000
TEXT = "so happy today , great flight and the service was very good . love the phone but hate the bad film ! thanks"
NUM_PIECES = 9


def test_a_text_in_pieces_is_scored_like_the_whole_text_even_if_a_worker_dies_in_between(
    make_scene: Callable[..., Scene],
) -> None:
    scene = make_scene(instance_id="only")
    cuts = [len(TEXT) * place // NUM_PIECES for place in range(NUM_PIECES + 1)]
    pieces = [TEXT[begin:end] for begin, end in pairwise(cuts)]
    streams = [f"stream-{number}" for number in range(8)]
    scene.send(Input(f"whole-{stream}", TEXT, now_ms()) for stream in streams)
    inputs = [
        Input(stream, piece, now_ms(), final=place == NUM_PIECES)
        for place, piece in enumerate(pieces, start=1)
        for stream in streams
    ]
    half = len(inputs) // 2
    scene.send(inputs[:half])
    first = scene.launch_worker()
    scene.wait_until_flushed()
    first.kill()
    scene.send(inputs[half:])
    scene.launch_worker()
    report = scene.finish()
    assert report.exact, report
    (whole,) = {_rounded(event) for event in scene.events() if event["stream"].startswith("whole")}
    (pieced,) = {_rounded(event) for event in scene.events() if event["stream"] in streams and event["final"]}
    assert whole == pieced


def _rounded(event: dict[str, Any]) -> tuple[Any, ...]:
    """The label, probabilities and mood score of an event, to five digits."""
    shares = tuple(round(share, 5) for share in event["probabilities"].values())
    return event["label"], shares, round(event["mood"]["score"], 5)


def test_a_null_value_erases_its_stream_even_in_a_replay(scene: Scene) -> None:
    erased, renewed = STREAMS[:10], STREAMS[:5]
    scene.send(tweets(300))
    scene.send(Input(stream, None, now_ms()) for stream in erased)
    scene.send(tweets(50, seed=2, streams=renewed))
    scene.launch_worker()
    scene.wait_until_flushed()
    scene.drain()
    report = scene.report()
    assert report.exact, report
    forget_everything(scene)
    scene.send(tweets(50, seed=3, streams=renewed))
    scene.launch_worker()
    report = scene.finish()
    assert report.exact, report
    assert report.num_states == len(STREAMS) - len(erased) + len(renewed)


def test_a_stream_expires_by_event_time_even_in_a_replay(make_scene: Callable[..., Scene]) -> None:
    scene = make_scene(state_ttl_s=HOUR_MS // 1000)
    begin_ms = now_ms() - 1000 * HOUR_MS
    minutes = (
        0,
        59,
        60,
        121,
        121,
        100,
        160,
        182,
        300,
        301,
        361,
        361,
        430,
    )  # 121, 300 and 430 come more than an hour after the latest
    inputs = [
        Input(stream, f"great flight {minute}", begin_ms + minute * 60_000, timestamp_ms=now_ms())
        for minute in minutes
        for stream in STREAMS[:6]
    ]
    scene.send(inputs[:-20])
    scene.launch_worker()
    scene.wait_until_flushed()
    scene.drain()
    forget_everything(scene)
    scene.send(inputs[-20:])
    scene.launch_worker()
    report = scene.finish()
    assert report.exact, report
    resets = [event["state"]["reset"] for event in scene.events() if event["stream"] == STREAMS[0]]
    assert resets.count("expired") == 3


def test_skipped_records_commit_and_leave_the_states_alone_even_in_a_rebuild(scene: Scene) -> None:
    settings, topic = scene.workplace.settings, scene.workplace.topic
    rule = json.dumps({topic: {"skip": [{"path": "op", "values": ["d"]}]}})
    deletes = [Input(stream, None, now_ms(), value=b'{"text": "terrible", "op": "d"}') for stream in STREAMS]

    def send_mixed(seed: int) -> None:
        scene.send(tweets(100, seed))
        send(settings.kafka, topic, settings.partitions, deletes)  # not in scene.sent: nothing may come of them
        scene.send(tweets(50, seed + 1))
        send(settings.kafka, topic, settings.partitions, deletes)

    send_mixed(1)
    worker = scene.launch_worker(payloads=rule)
    scene.wait_until_flushed()
    worker.wait_for_metric("records_total", 2 * len(deletes), outcome="skipped")
    scene.drain()
    forget_everything(scene)
    send_mixed(3)
    worker = scene.launch_worker(payloads=rule)
    worker.wait_for_metric("records_total", 2 * len(deletes), outcome="skipped")
    report = scene.finish()
    assert report.exact, report
    ends = {tp: end for tp, end in kafka_tools.ends(settings.kafka, topic).items() if end}
    assert kafka_tools.committed(settings.kafka, settings.group) == ends
