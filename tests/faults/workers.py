"""Faults of worker processes: killed, stopped, terminated, in the middle of a commit or anywhere.

Beside them what no worker can process: an event that its topic does not take, a batch of records that is damaged.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from tests.faults.run import SESSION_S, SETTLE_TIMEOUT_S, Action, Run, Verdict
from tests.faults.servers import flushall, redis_away
from tests.system.inputs import tweets
from worker.errors import EXIT_FAILED, Reason
from worker.process import CrashPoints
from worker.records.types import MAX_NAME_CHARS

MAX_PAUSE_S = SESSION_S * 1.5
MAX_COMMITS = 20  # before the one in which a worker dies or stops
BEFORE_COMMIT = "scored"
MAX_EVENT_BYTES = 4000  # an event of a record with an id of MAX_NAME_CHARS emoji is larger, all others are smaller
NUM_LARGE = 40
MARK = "damaged"
INTERVAL_S = 0.3  # between two that join or leave
IN_COMMIT = "offsets_sent" if "offsets_sent" in CrashPoints.NAMES else "produced"


def kill(run: Run) -> None:
    """Send SIGKILL to a worker, and start it again."""
    worker = run.any_worker()
    injection = run.inject("kill", worker)
    worker.kill()
    injection.silence()
    worker.launch()


def pause(run: Run) -> None:
    """Send SIGSTOP to a worker, sometimes for longer than its session."""
    _stop_for(run, "pause", run.random.uniform(0, MAX_PAUSE_S))


def stop(run: Run) -> None:
    """Send SIGSTOP to a worker for longer than its session."""
    _stop_for(run, "stop", run.random.uniform(SESSION_S * 1.2, MAX_PAUSE_S))


def _stop_for(run: Run, name: str, duration_s: float) -> None:
    worker = run.any_worker()
    if worker.running:
        injection = run.inject(name, worker)
        worker.pause()
        injection.silence()
        time.sleep(duration_s)
        worker.resume()


def terminate(run: Run) -> None:
    """Send SIGTERM to a worker, and start it again: it leaves the group and joins it again."""
    worker = run.any_worker()
    injection = run.inject("terminate", worker)
    worker.stop()
    injection.silence()
    worker.launch()


def rebalance_twice(run: Run) -> None:
    """Let two more workers join, one shortly after the other, and leave in the same way."""
    first, second = (run.scene.worker(max_batch=64) for _ in range(2))
    run.inject("rebalance_twice")
    first.launch()
    time.sleep(INTERVAL_S)
    second.launch()
    run.wait_for_workers()
    os.kill(first.pid, signal.SIGTERM)
    time.sleep(INTERVAL_S)
    os.kill(second.pid, signal.SIGTERM)
    for worker in (first, second):
        worker.wait_for_end()
        run.scene.workers.remove(worker)
        run.extra_workers.append(worker)


def kill_in_commit(run: Run, while_dead: Action | None = None) -> None:
    """Let a worker die between TxnOffsetCommit and EndTxn, do something to Redis, and start the worker again."""
    commits = run.random.randint(2, MAX_COMMITS)
    run.start_workers(crash_at=f"{IN_COMMIT}:{commits}")
    victim = run.scene.workers[0]
    with run.feeding():
        run.wait_until(lambda: not victim.running)
        run.inject("kill_in_commit", victim)
        victim.clear("crash_at")
        if while_dead is not None:
            while_dead(run)
        victim.launch()


def kill_in_commit_emptied(run: Run) -> None:
    """The same, and Redis is emptied at once."""
    kill_in_commit(run, flushall)


def kill_in_commit_away(run: Run) -> None:
    """The same, and Redis is away while the partitions are taken over."""
    kill_in_commit(run, redis_away)


def stop_in_commit(run: Run) -> None:
    """Suspend a worker between TxnOffsetCommit and EndTxn for longer than its session: it wakes up as a zombie."""
    _stop_in_commit(run, "stop_in_commit", 1.2, 1.5)


def expelled_in_commit(run: Run) -> None:
    """The same for about the length of the session: the group expels the worker about when it wakes up."""
    _stop_in_commit(run, "expelled_in_commit", 0.8, 1.1)


def stop_before_commit(run: Run) -> None:
    """Suspend a worker for longer than its session when it has scored what it is about to publish."""
    _stop_in_commit(run, "stop_before_commit", 1.2, 1.5, point=BEFORE_COMMIT)


def stop_before_commit_emptied(run: Run) -> None:
    """The same, and Redis forgets who owned the partitions."""
    _stop_in_commit(run, "stop_before_commit", 1.2, 1.5, point=BEFORE_COMMIT, while_stopped=flushall)


def _stop_in_commit(
    run: Run,
    name: str,
    least_sessions: float,
    most_sessions: float,
    *,
    point: str = IN_COMMIT,
    while_stopped: Action | None = None,
) -> None:
    commits = run.random.randint(2, MAX_COMMITS)
    run.start_workers(crash_at=f"{point}:{commits}:stop")
    victim = run.scene.workers[0]
    with run.feeding():
        run.wait_until(lambda: victim.stopped)
        run.inject(name, victim)
        if while_stopped is not None:
            while_stopped(run)
        run.pause_within(SESSION_S * least_sessions, SESSION_S * most_sessions)
        victim.clear("crash_at")
        victim.resume()


def event_too_large(run: Run) -> None:
    """Kill a worker while some events are larger than their topic takes: they become dead letters, and count."""
    settings = run.scene.workplace.settings
    limit = ConfigResource(ConfigResourceType.TOPIC, settings.events_topic, {"max.message.bytes": str(MAX_EVENT_BYTES)})
    with KafkaAdminClient(bootstrap_servers=run.stack.kafka.split(",")) as admin:
        admin.alter_configs([limit])
    run.start_workers()
    ids = (f"{number:03d}" + "\U0001f600" * (MAX_NAME_CHARS - 3) for number in range(NUM_LARGE))
    inputs = [replace(one, record_id=next(ids)) for one in tweets(NUM_LARGE, 1000 * run.seed)]
    with run.feeding():
        large = run.scene.send(inputs[: NUM_LARGE // 2])
        run.pause_within(0, INTERVAL_S)
        kill(run)
        large += run.scene.send(inputs[NUM_LARGE // 2 :])
    expected = run.scene.oracle.expect(run.scene.sent)
    for record in large:
        del expected.events[record.id]
        expected.dead_letters[record.id] = Reason.EVENT_TOO_LARGE
    run.inject("event_too_large")
    run.verdict = Verdict(expected, "id")


def damaged_batch(run: Run) -> None:
    """Damage a batch in the log: the workers end at it, and lose nothing once the partition is restored."""
    run.start_workers()
    with run.feeding(run.num_records // 2):
        pass
    run.scene.wait_until_flushed(SETTLE_TIMEOUT_S)
    run.scene.drain()
    run.send_tweets(run.num_records // 4)
    run.scene.send(replace(one, record_id=MARK) for one in tweets(1, run.seed))
    run.send_tweets(run.num_records // 4)
    run.inject("damaged_batch")
    path, place = _find_mark(run)
    _flip(path, place)
    for worker in run.scene.workers:
        worker.launch()
    run.wait_until(lambda: not any(worker.running for worker in run.scene.workers))
    for worker in run.scene.workers:
        assert worker.exit_code == EXIT_FAILED, worker.tail()
        assert "cannot be unpacked" in worker.tail()
    _flip(path, place)
    for worker in run.scene.workers:
        worker.launch()


def _find_mark(run: Run) -> tuple[Path, int]:
    """The file of the log with the record whose id is MARK, and its place in it."""
    (broker,) = run.stack.brokers
    logs = (broker.folder / "data").glob(f"{run.scene.workplace.topic}-*/*.log")
    places = ((path, path.read_bytes().find(MARK.encode())) for path in logs)
    return next((path, place) for path, place in places if place >= 0)


def _flip(path: Path, place: int) -> None:
    """Change one bit, or change it back."""
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 1]))
