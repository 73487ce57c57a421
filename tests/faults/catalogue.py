"""Every fault of the campaign: its name, what it is, what it does to a run, and the servers that it needs.

Beside them the bugs that they find when these are planted in the workers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.faults import logs, model_changes, servers, workers
from tests.faults.busy_broker import SMALL_BATCHES, kill_broker_busy
from tests.faults.run import Action, Run
from tests.system.inputs import mixed
from worker.stack import LocalStack

CHUNK_RECORDS = 250
MAX_LULL_S = 0.6  # between sending a chunk and injecting a fault
LULL_S = (0.5, 2.0)  # between the first record and a single fault


@dataclass(frozen=True, eq=False)
class StackKind:
    """Servers that runs can share one after the other."""

    num_brokers: int = 1
    kafka_options: Mapping[str, str] = field(default_factory=dict)

    def stack(self) -> LocalStack:
        """The servers, not yet started."""
        return LocalStack(self.num_brokers, append_only=True, kafka_options=self.kafka_options)


WEIGHTS: dict[Action, int] = {
    workers.kill: 4,
    workers.pause: 3,
    workers.terminate: 2,
    servers.flushall: 2,
    servers.roll_back: 2,
    servers.empty_redis: 1,
    servers.kill_broker: 1,
}
ONE_BROKER = StackKind()
FORGETFUL_BROKER = StackKind(kafka_options=servers.EXPIRING)
THREE_BROKERS = StackKind(num_brokers=3)


@dataclass(frozen=True)
class Fault:
    """`inject` starts the workers, sends the records and causes the fault.

    static: the workers are static members. settings: of every worker, beside those of all runs.
    """

    name: str
    description: str
    inject: Action
    kind: StackKind = ONE_BROKER
    static: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


def mix(run: Run) -> None:
    """Send the records in chunks, with a fault after each."""
    run.start_workers()
    for number in range(run.num_records // CHUNK_RECORDS):
        run.scene.send(mixed(CHUNK_RECORDS, 1000 * run.seed + number))
        run.pause_within(0, MAX_LULL_S)
        (fault,) = run.random.choices(list(WEIGHTS), list(WEIGHTS.values()))
        fault(run)
        run.scene.supervise()
    run.injections.clear()  # recovery is measured only while records flow steadily


def while_feeding(action: Action) -> Action:
    """Do this once while records flow."""

    def inject(run: Run) -> None:
        run.start_workers()
        with run.feeding():
            run.pause_within(*LULL_S)
            action(run)

    return inject


def roll_back_while_feeding(run: Run) -> None:
    """Take a snapshot of Redis while records flow, and restore it later."""
    run.start_workers()
    with run.feeding():
        run.pause_within(*LULL_S)
        servers.take_snapshot(run)
        run.pause_within(*LULL_S)
        servers.roll_back(run)


_ALL = (
    Fault("mix", "a random fault after every 250 records, of those marked with *", mix),
    Fault("kill", "* SIGKILL to a worker, which starts again at once", while_feeding(workers.kill)),
    Fault("kill_static", "the same with static members", while_feeding(workers.kill), static=True),
    Fault("stop", "SIGSTOP to a worker for 1.2 to 1.5 sessions", while_feeding(workers.stop)),
    Fault("stop_static", "the same with static members", while_feeding(workers.stop), static=True),
    Fault("terminate", "* SIGTERM to a worker, which starts again", while_feeding(workers.terminate)),
    Fault("terminate_static", "the same with static members", while_feeding(workers.terminate), static=True),
    Fault("pause", "* SIGSTOP to a worker for up to 1.5 sessions", while_feeding(workers.pause)),
    Fault("flushall", "* everything in Redis is deleted", while_feeding(servers.flushall)),
    Fault("roll_back", "* Redis dies and returns with older data", roll_back_while_feeding),
    Fault("empty_redis", "* Redis dies and returns empty", while_feeding(servers.empty_redis)),
    Fault("kill_broker", "* the only broker dies and returns", while_feeding(servers.kill_broker)),
    Fault(
        "kill_broker_busy",
        "the same, with many offsets to load and busy processors: it may answer before it has loaded them",
        kill_broker_busy,
        StackKind(kafka_options=SMALL_BATCHES),
    ),
    Fault("kill_in_commit", "SIGKILL between the group's offsets and the end of a transaction", workers.kill_in_commit),
    Fault("kill_in_commit_emptied", "the same, and Redis is emptied", workers.kill_in_commit_emptied),
    Fault("kill_in_commit_away", "the same, and Redis is away for 2 to 4 s", workers.kill_in_commit_away),
    Fault("stop_in_commit", "SIGSTOP there for 1.2 to 1.5 sessions", workers.stop_in_commit),
    Fault("expelled_in_commit", "SIGSTOP there for 0.8 to 1.1 sessions", workers.expelled_in_commit),
    Fault("stop_before_commit", "SIGSTOP before a transaction for 1.2 to 1.5 sessions", workers.stop_before_commit),
    Fault("stop_before_commit_emptied", "the same, and Redis is emptied", workers.stop_before_commit_emptied),
    Fault("event_too_large", "SIGKILL while some events are larger than their topic takes", workers.event_too_large),
    Fault(
        "damaged_batch",
        "a bit of the log is wrong: the workers end, the partition is restored, they start again",
        workers.damaged_batch,
    ),
    Fault(
        "stop_in_takeover",
        "SIGSTOP to a worker that takes over, while others go on and retention deletes what they have read",
        logs.stop_in_takeover,
    ),
    Fault("markers_at_end", "the input ends in aborted records, and Redis forgets the states", logs.markers_at_end),
    Fault(
        "rebalance_twice",
        "two workers join 0.3 s apart, and leave 0.3 s apart",
        while_feeding(workers.rebalance_twice),
    ),
    Fault(
        "cut_over",
        "workers of another model take the places of static members, after a shadow; SIGKILL to them and to the shadow",
        model_changes.cut_over,
        static=True,
    ),
    Fault("expired_id", "idle until the broker forgets the transactional ids", servers.expired_id, FORGETFUL_BROKER),
    Fault(
        "coordinator_moves",
        "the broker dies that coordinates the group or its transactions",
        while_feeding(servers.coordinator_moves),
        THREE_BROKERS,
    ),
    Fault(
        "leader_killed",
        "the broker dies that leads a partition of the input or of the events",
        while_feeding(servers.leader_killed),
        THREE_BROKERS,
    ),
    *(
        Fault(name, description, inject, kind, settings=logs.NO_SHIFTS)
        for name, description, inject, kind in (
            (
                "unclean_election",
                "a broker leads the input that lacks its last records",
                logs.unclean_election,
                THREE_BROKERS,
            ),
            (
                "recreated_running",
                "the input is deleted and created while workers run",
                logs.recreated_running,
                ONE_BROKER,
            ),
            (
                "recreated_stopped",
                "the input is deleted and created while no worker runs",
                logs.recreated_stopped,
                ONE_BROKER,
            ),
            (
                "offsets_beyond_end",
                "the group's offsets are set beyond the end of the log",
                logs.offsets_beyond_end,
                ONE_BROKER,
            ),
            (
                "partitions_added",
                "partitions are added to the input while workers run",
                logs.partitions_added,
                ONE_BROKER,
            ),
        )
    ),
)
FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in _ALL}

# Not here: what real servers show too rarely, which the simulation finds. A late request of an earlier transaction, an
# EndTxn that overtakes the records, markers that a broker lost (about one death of a broker in ten), a flush that only
# the position still fences (no_owner_token), and a claimer that begins before it learns that the group has expelled it
# (begin_by_a_paused_claimer: none of five seeds of stop_in_takeover). Offsets that are believed while they load
# (offsets_believed_while_they_load): none of eleven seeds of kill_broker_busy; tests.loading_coordinator meets them.
FINDERS: Mapping[str, str] = {
    "offset_outside_of_the_transaction": "kill_in_commit",
    "unstable_offset_read": "stop_in_commit",
    "predecessor_not_ended": "kill_in_commit",
    "producers_not_fenced": "stop_before_commit",
    # A worker that was stopped is refused by its ended id as well, unless Redis forgot whom to end.
    "offsets_in_nobodys_name": "stop_before_commit_emptied",
    "flush_by_lineage_alone": "stop",
    "flush_under_another_lineage": "roll_back",
    "lost_states_ignored": "flushall",
    "reseek_missing": "flushall",
    "published_during_replay": "kill",
    "group_offset_ignored": "kill",
    "no_replay": "kill",
    "end_of_the_log_ignored": "offsets_beyond_end",
    "topic_ids_ignored": "recreated_stopped",
    "rebuild_over_markers_never_ends": "markers_at_end",
}
"""The fault that finds each planted bug (tests/system/planted.py)."""
