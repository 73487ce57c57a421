"""Faults of worker processes: killed, stopped, terminated, in the middle of a commit or anywhere."""

from __future__ import annotations

import os
import signal
import time

from tests.faults.run import SESSION_S, Action, Run
from tests.faults.servers import flushall, redis_away
from worker.process import CrashPoints

MAX_PAUSE_S = SESSION_S * 1.5
MAX_COMMITS = 20  # before the one in which a worker dies or stops
BEFORE_COMMIT = "scored"
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
