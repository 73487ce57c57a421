"""Where an owned partition begins: what follows from Redis' claim, the group's offset, the log. Pure, but `announce`.

P is the position of the states in Redis, C the group's offset; both name the topic that they are of. `start`, `end` and
`lookback` bound what the log holds.

    P       C       the log         then
    of another topic, both          the topic was created again: begin at its start, with no states
    none    none    -               rebuild what the log holds, publish all of it
    P       none    start <= P      go on at P, where the states are
    P       none    P < start       rebuild; publish from the log's start
    any     C       C < start       as with C at the log's start: the records before it are gone
    none    C       -               rebuild up to C without publishing
    P       C       P <= C          go on at P; apply P to C without publishing
    P       C       C < P           rebuild: the group wants records again that the states have
    P       C       P < start       rebuild: the log has a gap that the states lack
    P       C       P <= end < C    go on at P: what is published is known up to there
    other   C       end < C         as with C at the log's end: the records up to C are gone

P counts as none, too, where C has gone back since the states were written: the records that they are of may be gone,
cut off with the end of the log, which may have grown beyond P again. That comes of a Redis that was rolled back, or of
a model that returns.

A P or a C of another topic, where the other is of this one, counts as none. An offset that names another cluster was
translated by whoever mirrors the topic here, and counts.
"""

from __future__ import annotations

import logging
from typing import Literal, NamedTuple

from worker.errors import OwnershipError
from worker.kafka.group_offsets import GroupOffset
from worker.kafka.log import LogBounds
from worker.monitoring.metrics import Metrics
from worker.monitoring.series import LogChange
from worker.records.types import ResetReason, TopicPartition
from worker.state.claims import Claim

logger = logging.getLogger(__name__)

_LOST_LOG = frozenset({"topic_recreated", "log_truncated"})


class Rebuild(NamedTuple):
    """States begin again, empty, at offset `start`.

    reset: why the first event of a stream says that its state was reset; None where no stream can have had one.
    """

    start: int
    reset: ResetReason | None


class PlanWarning(NamedTuple):
    """What an operator should know of a take-over; `action` is the log line's."""

    action: LogChange | Literal["offset_gone", "rebuild"]
    message: str


class Plan(NamedTuple):
    """`start` is the first offset to read; records below `committed` are applied without being published.

    rebuild: None where the states in Redis are gone on with.
    """

    start: int
    committed: int
    rebuild: Rebuild | None
    warnings: tuple[PlanWarning, ...]


def plan_takeover(claim: Claim, offset: GroupOffset | None, log: LogBounds, num_resets: int | None = None) -> Plan:
    """Decide where a partition begins. `offset` is the group's, C; None where it has none.

    num_resets: how often C has gone back, as far as the outputs say.
    """
    position = claim.position if _is_same(claim.topic.topic_id, log.topic_id) else None
    committed = offset.offset if offset is not None and not is_stale(offset.metadata, log.topic_id) else None
    if position is None and committed is None and (claim.position is not None or offset is not None):
        message = f"the topic was deleted and created again; beginning at its first record, {log.start}"
        rebuild = Rebuild(log.start, ResetReason.TOPIC_RECREATED)
        return Plan(log.start, log.start, rebuild, (PlanWarning("topic_recreated", message),))
    warnings = []
    if claim.position is not None and position is None:
        warnings.append(PlanWarning("states_of_another_log", "the states in Redis are of another topic of this name"))
    if position is not None and _is_older(claim.num_resets, num_resets):
        position = None
        message = "the states in Redis are from before the group's offset last went back"
        warnings.append(PlanWarning("states_of_another_log", message))
    if committed is None:
        committed = log.start if position is None else min(max(position, log.start), log.end)
        if position is not None:
            message = f"the group has no offset; going on at {committed}, where the states are"
            warnings.append(PlanWarning("offset_gone", message))
    if committed < log.start:
        message = f"records {committed} to {log.start - 1} left the log before they were read"
        warnings.append(PlanWarning("records_gone", message))
        committed = log.start
    furthest = max(committed, position or 0)
    is_truncated = furthest > log.end
    if committed > log.end:
        committed = position if position is not None and log.start <= position <= log.end else log.end
    if is_truncated:
        message = (
            f"the log ends at {log.end}, before the offset {furthest} that it had reached; going on at {committed}"
        )
        warnings.append(PlanWarning("log_truncated", message))
    if position is not None and log.start <= position <= committed:
        return Plan(position, committed, None, tuple(warnings))
    rebuild = plan_rebuild(committed, log, ResetReason.LOG_TRUNCATED if is_truncated else None)
    return Plan(rebuild.start, committed, rebuild, tuple(warnings))


def offset_of_shadow(claim: Claim, offset: GroupOffset | None) -> GroupOffset | None:
    """Where a shadow goes on: its own group's offset, or P where the states are ahead of it.

    They are after a worker of its model has gone on with them; its events are those of the records in between.
    """
    position = claim.position
    if position is None or (offset is not None and offset.offset >= position):
        return offset
    return GroupOffset(position, claim.topic.topic_id)


def plan_rebuild(committed: int, log: LogBounds, reset: ResetReason | None = None) -> Rebuild:
    """Decide how far below `committed` (C) states are rebuilt from: what the log holds, within the lookback.

    reset: a better reason than that records before the first one existed, which the states will lack.
    """
    lookback = committed if log.lookback is None else log.lookback
    start = min(max(log.start, lookback), committed)
    return Rebuild(start, reset or (ResetReason.HISTORY_LOST if start > 0 else None))


def _is_same(topic_id: str, current: str) -> bool:
    """Whether an id can be that of the current topic; version 0.1, and brokers before 3.1, have none."""
    return not topic_id or not current or topic_id == current


def _is_older(num_resets: int | None, now: int | None) -> bool:
    return num_resets is not None and now is not None and num_resets < now


def is_stale(topic_id: str, current: str) -> bool:
    """Whether an id is that of an earlier topic of this name, on the same cluster."""
    return not _is_same(topic_id, current) and topic_id.partition("/")[0] == current.partition("/")[0]


def refuse_lost_log(tp: TopicPartition, plan: Plan) -> None:
    """Raises OwnershipError where the log is cut or replaced: with on_lost_log stop, a person decides."""
    for warning in plan.warnings:
        if warning.action in _LOST_LOG:
            raise OwnershipError(
                f"{tp.topic}-{tp.partition}: {warning.message}. With on_lost_log stop, that is yours to decide: "
                "set the group's offset (kafka-consumer-groups.sh --reset-offsets), or start with "
                "--on-lost-log resume"
            )


def announce(tp: TopicPartition, plan: Plan, metrics: Metrics) -> None:
    """Tell the operator, in logs and metrics, what is out of the ordinary in `plan`, which is followed now."""
    warnings = plan.warnings
    if plan.rebuild is not None and plan.start < plan.committed:
        message = f"states are rebuilt from the records {plan.start} to {plan.committed - 1}"
        warnings += (PlanWarning("rebuild", message),)
    for warning in warnings:
        if warning.action == "offset_gone":
            metrics.position_kept()
        elif warning.action != "rebuild":
            metrics.log_changed(warning.action)
        extra = {"action": warning.action, "topic": tp.topic, "partition": tp.partition}
        logger.warning("%s-%d: %s", *tp, warning.message, extra=extra)
