"""Where an owned partition begins: what follows from Redis' claim, the group's offset and the log. Pure functions.

P is the position of the states in Redis, C the group's offset; `start` and `lookback` bound what the log still holds.

    P       C       the log         then
    none    none    -               rebuild what the log holds, publish all of it
    P       none    start <= P      go on at P, where the states are
    P       none    P < start       rebuild; publish from the log's start
    any     C       C < start       as with C at the log's start: the records before it are gone
    none    C       -               rebuild up to C without publishing
    P       C       P <= C          go on at P; apply P to C without publishing
    P       C       C < P           rebuild: the group wants records again that the states have
    P       C       P < start       rebuild: the log has a gap that the states lack
"""

from __future__ import annotations

from typing import NamedTuple

from worker.state.store import Claim


class LogBounds(NamedTuple):
    """What the log of a partition holds.

    start: the first offset that is left. lookback: the first offset of a record young enough to rebuild states from;
    None where there is none.
    """

    start: int
    lookback: int | None


class Rebuild(NamedTuple):
    """States begin again, empty, at offset `start`. partial: records before it existed, which they will lack."""

    start: int
    partial: bool


class PlanWarning(NamedTuple):
    """What an operator should know of a take-over; `action` is the log line's."""

    action: str
    message: str


class Plan(NamedTuple):
    """`start` is the first offset to read; records below `committed` are applied without being published.

    rebuild: None where the states in Redis are gone on with.
    """

    start: int
    committed: int
    rebuild: Rebuild | None
    warnings: tuple[PlanWarning, ...]


def plan_takeover(claim: Claim, offset: int | None, log: LogBounds) -> Plan:
    """Decide where a partition begins. `offset` is the group's, C; None where it has none."""
    position, committed, warnings = claim.position, offset, []
    if committed is None:
        committed = log.start if position is None else max(position, log.start)
        if position is not None:
            message = f"the group has no offset; going on at {committed}, where the states are"
            warnings.append(PlanWarning("offset_gone", message))
    if committed < log.start:
        message = f"records {committed} to {log.start - 1} left the log before they were read"
        warnings.append(PlanWarning("records_gone", message))
        committed = log.start
    if position is not None and log.start <= position <= committed:
        return Plan(position, committed, None, tuple(warnings))
    rebuild = plan_rebuild(committed, log)
    return Plan(rebuild.start, committed, rebuild, tuple(warnings))


def plan_rebuild(committed: int, log: LogBounds) -> Rebuild:
    """Decide how far below `committed` (C) states are rebuilt from: what the log holds, within the lookback."""
    lookback = committed if log.lookback is None else log.lookback
    start = min(max(log.start, lookback), committed)
    return Rebuild(start, partial=start > 0)
