"""The members of a consumer group and the answers that they wait for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from types import SimpleNamespace
from typing import Any

MEMBER_ID_REQUIRED = 79


class GroupState(StrEnum):
    """As the coordinator names them."""

    EMPTY = "Empty"
    PREPARING = "PreparingRebalance"
    COMPLETING = "CompletingRebalance"
    STABLE = "Stable"


@dataclass
class Member:
    """A member; `waiting` is its JoinGroup or SyncGroup that is not answered yet."""

    member_id: str
    instance_id: str | None
    session_s: float
    rebalance_s: float
    metadata: bytes = b""
    assignment: bytes = b""
    waiting: asyncio.Future[Any] | None = None
    joined: bool = False
    timer: asyncio.TimerHandle | None = None


def answer_waiting(member: Member, answer: Any) -> None:
    """Answer the request of a member that waits, where one does."""
    waiting, member.waiting = member.waiting, None
    if waiting is not None and not waiting.done():
        waiting.set_result(answer)


def refused_join(code: int, member_id: str = "") -> Any:
    """The answer to a JoinGroup that is refused."""
    return SimpleNamespace(error_code=code, generation_id=-1, leader_id="", member_id=member_id, members=[])
