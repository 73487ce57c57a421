"""Faults that change the log or the group's offsets: an input topic that is not what the worker knew.

Two logs may use the same offsets, so the verifier names the events by the ids in the records. A worker looks at the
topic only once a second, so tests wait for DETECTION_S before they send to a log that has changed under it.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

from kafka import KafkaAdminClient
from kafka.errors import TopicAlreadyExistsError
from kafka.partitioner.default import murmur2

from tests import kafka_tools
from tests.faults.measurements import log_lines
from tests.faults.run import SETTLE_TIMEOUT_S, Run, Verdict
from tests.faults.servers import describe, flushall
from tests.system.inputs import STREAMS, Sent, partition_of, streams_in, tweets
from tests.system.log_tools import delete_records, move_offsets, send_aborted
from tests.system.oracle import Expectation

DETECTION_S = 2.5
EVENTS_TIMEOUT_S = 30.0
MAX_BEYOND_END = 200
NUM_ADDED = 2
FEW_STREAMS = 12
NO_SHIFTS = {"shift_threshold": 1000}  # a shift is named by its place alone, which two logs may share
UNCLEAN = {"unclean.leader.election.enable": "true", "min.insync.replicas": "1"}


def recreated_running(run: Run) -> None:
    """Delete the input topic and create it again while the workers run."""
    _recreated(run, stopped=False)


def recreated_stopped(run: Run) -> None:
    """Delete the input topic and create it again while no worker runs."""
    _recreated(run, stopped=True)


def _recreated(run: Run, *, stopped: bool) -> None:
    few = run.num_records // 3
    counts = run.random.choice(((few, run.num_records - few), (run.num_records - few, few)))
    run.start_workers()
    old = run.send_tweets(counts[0])
    run.scene.wait_until_flushed(SETTLE_TIMEOUT_S)
    if stopped:
        run.scene.drain()
    run.inject("recreated_smaller" if counts[1] < counts[0] else "recreated_larger")
    _recreate_input(run)
    if not stopped:
        time.sleep(DETECTION_S)
    run.scene.sent.clear()
    new = run.send_tweets(counts[1])
    if stopped:
        _launch_all(run)
    expected = run.scene.oracle.expect(new)
    _judge(run, old, new, _with_reset(expected, new, "topic_recreated"))


def _recreate_input(run: Run, **options: Any) -> None:
    """Delete the input topic and create it again, by default as it was. Raises AssertionError when it stays."""
    settings = run.scene.workplace.settings
    topics = dict.fromkeys(settings.topics, options or {"num_partitions": settings.partitions})
    kafka_tools.delete_topics(settings.kafka, settings.topics)
    with KafkaAdminClient(bootstrap_servers=settings.kafka.split(",")) as admin:
        run.wait_until(lambda: _created(admin, topics))


def _created(admin: KafkaAdminClient, topics: dict[str, Any]) -> bool:
    try:
        admin.create_topics(topics, wait_for_metadata=True)
    except TopicAlreadyExistsError:  # its deletion goes on in the background
        return False
    return True


def offsets_beyond_end(run: Run) -> None:
    """Set the group's offsets of some partitions beyond the end of the log while no worker runs."""
    run.start_workers()
    old = run.send_tweets(run.num_records // 2)
    run.scene.wait_until_flushed(SETTLE_TIMEOUT_S)
    run.scene.drain()
    settings = run.scene.workplace.settings
    committed = kafka_tools.committed(settings.kafka, settings.group)
    chosen = run.random.sample(sorted(committed), run.random.randint(1, len(committed)))
    run.inject("offsets_beyond_end")
    move_offsets(settings, {place: committed[place] + run.random.randint(1, MAX_BEYOND_END) for place in chosen})
    _launch_all(run)
    run.wait_for_workers()
    time.sleep(DETECTION_S)
    new = run.send_tweets(run.num_records - len(old))
    # The states in Redis are of records that the log still holds: nothing is reset.
    _judge(run, old, new, run.scene.oracle.expect(run.scene.sent))


def unclean_election(run: Run) -> None:
    """Let a broker lead the input that lacks its last records: they are gone after their events are published.

    The partitions have two replicas: one dies, records arrive at the other, that one dies too, and the first returns.
    """
    leader, follower, _ = run.random.sample(run.stack.brokers, 3)
    replicas = [leader.node_id, follower.node_id]
    partitions = range(run.scene.workplace.settings.partitions)
    _recreate_input(run, assignments=dict.fromkeys(partitions, replicas), configs=UNCLEAN)
    run.start_workers()
    kept = run.send_tweets(run.num_records // 3)
    run.scene.wait_until_flushed(SETTLE_TIMEOUT_S)
    follower.kill()
    run.wait_until(lambda: _all_partitions(run, "isr_nodes", [leader.node_id]))
    lost = run.send_tweets(run.num_records // 3)
    run.scene.wait_until_flushed(SETTLE_TIMEOUT_S)
    published = run.scene.oracle.expect(kept + lost)
    run.inject("unclean_election")
    leader.kill()
    follower.start()
    run.wait_until(lambda: _all_partitions(run, "leader_id", follower.node_id))
    leader.start()
    truncated = {one.partition for one in lost}
    # Workers that ended while nobody led the log notice it when they are back, if it has not grown meanwhile.
    run.scene.wait_until(lambda: truncated <= _noticed(run, "log_truncated"), SETTLE_TIMEOUT_S)
    run.scene.sent[:] = kept
    new = run.send_tweets(run.num_records - len(kept) - len(lost))
    concerned = [one for one in new if one.partition in truncated]
    expected = _with_reset(run.scene.oracle.expect(kept + new), concerned, "log_truncated")
    _judge(run, kept + lost, new, expected, published)


def _noticed(run: Run, action: str) -> set[int]:
    """The partitions of which a worker has logged this action."""
    return {line["partition"] for worker in run.workers for line in log_lines(worker) if line.get("action") == action}


def _all_partitions(run: Run, field: str, value: object) -> bool:
    return all(one[field] == value for one in describe(run, run.scene.workplace.topic))


def partitions_added(run: Run) -> None:
    """Add partitions to the input while the workers run; new streams go there, the known ones stay where they are."""
    run.start_workers()
    old = run.send_tweets(run.num_records // 2)
    run.scene.wait_until_flushed(SETTLE_TIMEOUT_S)
    workplace = run.scene.workplace
    before = workplace.settings.partitions
    after = before + NUM_ADDED
    run.inject("partitions_added")
    with KafkaAdminClient(bootstrap_servers=workplace.settings.kafka.split(",")) as admin:
        admin.create_partitions({workplace.topic: after})
    settings = workplace.settings.model_copy(update={"partitions": after})
    run.scene.workplace = replace(workplace, settings=settings)
    time.sleep(DETECTION_S)
    stay = [name for name in STREAMS if partition_of(name, before) == partition_of(name, after)]
    new = run.send_tweets(run.num_records - len(old), stay + streams_in(range(before, after), after))
    known = {(one.input.stream, one.partition) for one in old}
    strangers = [one for one in new if (one.input.stream, one.partition) not in known]
    moved = [one for one in strangers if _has_moved(one, before, after)]
    _judge(run, old, new, _with_reset(run.scene.oracle.expect(run.scene.sent), moved, "moved"))


def markers_at_end(run: Run) -> None:
    """Let aborted records and a marker be the end of each log, and Redis forget everything: states are rebuilt."""
    run.start_workers()
    with run.feeding():
        pass
    settings, topic = run.scene.workplace.settings, run.scene.workplace.topic
    send_aborted(settings, topic, tweets(run.num_records // 10, seed=run.seed))
    ends = kafka_tools.ends(settings.kafka, topic)
    run.wait_until(lambda: kafka_tools.committed(settings.kafka, settings.group) == ends)
    run.scene.wait_until_flushed(SETTLE_TIMEOUT_S)
    run.scene.drain()
    run.inject("markers_at_end")
    flushall(run)
    _launch_all(run)


def stop_in_takeover(run: Run) -> None:
    """Suspend a worker between its claim and the beginning of its states until others have gone on without it.

    Retention deletes meanwhile what they have read, so that nobody could rebuild the states.
    """
    flags: dict[str, Any] = {"max_batch": 64, "max_cached_streams": FEW_STREAMS}
    victim = run.scene.launch_worker(crash_at="claimed:1:stop", **flags)
    run.wait_until(lambda: victim.stopped)
    run.inject("stop_in_takeover", victim)
    run.scene.launch_worker(**flags)
    with run.feeding(run.num_records // 2):
        pass
    run.scene.wait_until_flushed(SETTLE_TIMEOUT_S)
    settings = run.scene.workplace.settings
    delete_records(settings, kafka_tools.committed(settings.kafka, settings.group))
    victim.clear("crash_at")
    victim.resume()
    run.wait_for_workers()
    with run.feeding(run.num_records - run.num_records // 2):
        pass


def _has_moved(record: Sent, before: int, after: int) -> bool:
    """Whether Kafka's own clients would have sent the record's key elsewhere before; kafka-python's hash decides."""
    number: int = murmur2(record.input.stream.encode()) & 0x7FFFFFFF
    return number % after == record.partition != number % before


def _launch_all(run: Run) -> None:
    for worker in run.scene.workers:
        worker.launch()


def _with_reset(expected: Expectation, records: Iterable[Sent], reset: str) -> Expectation:
    """Expect the first event of each stream in `records` to report `reset`."""
    reported = set()
    for record in sorted(records, key=lambda one: one[:3]):
        if record.input.stream not in reported:
            expected.events[record.id] = replace(expected.events[record.id], reset=reset)
        reported.add(record.input.stream)
    return expected


def _judge(
    run: Run, old: Collection[Sent], new: Collection[Sent], expected: Expectation, before: Expectation | None = None
) -> None:
    """Judge the events by record id, and give the new ones time to appear.

    expected: for the log as it is now. before: for `old` as it was published, by default what the oracle expects.
    """
    before = before or run.scene.oracle.expect(old)
    by_id = Expectation(states=expected.states)
    for records, source in ((old, before), (new, expected)):
        names = {one.id: one.input.record_id for one in records}
        by_id.events |= {str(names[name]): event for name, event in source.events.items() if name in names}
    run.verdict = Verdict(by_id, "record_id")
    run.wait_for_events(len(by_id.events), EVENTS_TIMEOUT_S)
