"""A consumer group of the classic protocol: members, generations, rebalances, and who may commit offsets."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from tests.simulation.kafka_model.group_offsets import GroupOffsets
from tests.simulation.kafka_model.members import MEMBER_ID_REQUIRED, GroupState, Member, answer_waiting, refused_join
from tests.simulation.loop import SimulatedLoop
from worker.kafka.protocol.codes import ErrorCode


@dataclass
class Group:
    """One group."""

    loop: SimulatedLoop
    name: str
    generation: int = 0
    state: GroupState = GroupState.EMPTY
    members: dict[str, Member] = field(default_factory=dict)
    leader: str = ""
    offsets: GroupOffsets = field(default_factory=GroupOffsets)
    _num_ids: int = 0
    _given_ids: set[str] = field(default_factory=set)
    _join_timer: asyncio.TimerHandle | None = None

    # membership

    def join(self, request: Any) -> asyncio.Future[Any]:
        """JoinGroup: answered when the generation is complete."""
        answer: asyncio.Future[Any] = self.loop.create_future()
        member_id, instance_id = request._member_id, request._group_instance_id or None
        member = self.members.get(member_id)
        known = next((m for m in self.members.values() if instance_id and m.instance_id == instance_id), None)
        if not member_id and not instance_id:
            # A dynamic member is told its id, and joins with it (KIP-394).
            self._given_ids.add(self._new_member_id("member"))
            answer.set_result(refused_join(MEMBER_ID_REQUIRED, f"member-{self._num_ids}"))
            return answer
        if member_id and member is None and member_id not in self._given_ids:
            answer.set_result(refused_join(ErrorCode.FENCED_INSTANCE_ID if known else ErrorCode.UNKNOWN_MEMBER_ID))
            return answer
        if member is None and known is not None:
            return self._rejoin(known, request, answer)
        if member is None:
            self._given_ids.discard(member_id)
            member = Member(member_id or self._new_member_id(instance_id), instance_id, 0.0, 0.0)
            self.members[member.member_id] = member
        self._update(member, request)
        answer_waiting(member, refused_join(ErrorCode.UNKNOWN_MEMBER_ID))
        member.waiting, member.joined = answer, True
        self._prepare()
        self._complete_join_if_all()
        return answer

    def _rejoin(self, old: Member, request: Any, answer: asyncio.Future[Any]) -> asyncio.Future[Any]:
        """A static member that restarted: a new member id; the generation goes on where the group is stable."""
        answer_waiting(old, refused_join(ErrorCode.FENCED_INSTANCE_ID))
        self._forget(old)
        member = Member(self._new_member_id(old.instance_id), old.instance_id, 0.0, 0.0, assignment=old.assignment)
        self.members[member.member_id] = member
        self._update(member, request)
        named_leader = self.leader
        if self.leader == old.member_id:
            self.leader = member.member_id
        if self.state is GroupState.STABLE:
            # The leader named is the old one, so that a new leader does not assign.
            answer.set_result(self._joined(member, named_leader))
            self._restart_session(member)
            return answer
        member.waiting, member.joined = answer, True
        self._prepare()
        self._complete_join_if_all()
        return answer

    def _new_member_id(self, prefix: str | None) -> str:
        self._num_ids += 1
        return f"{prefix}-{self._num_ids}"

    def _update(self, member: Member, request: Any) -> None:
        member.session_s = request._session_timeout / 1000
        member.rebalance_s = request._rebalance_timeout / 1000
        member.metadata = request._group_protocols[0][1]
        self._stop_session(member)

    def sync(self, request: Any) -> asyncio.Future[Any]:
        """SyncGroup: answered when the leader has assigned."""
        answer: asyncio.Future[Any] = self.loop.create_future()
        code = self._check(request._member_id, request._generation_id, request._group_instance_id or None)
        if code is ErrorCode.NONE and self.state is GroupState.PREPARING:
            code = ErrorCode.REBALANCE_IN_PROGRESS
        if code is not ErrorCode.NONE:
            answer.set_result(SimpleNamespace(error_code=code, member_assignment=b""))
            return answer
        member = self.members[request._member_id]
        self._restart_session(member)
        if self.state is GroupState.STABLE:
            answer.set_result(SimpleNamespace(error_code=ErrorCode.NONE, member_assignment=member.assignment))
            return answer
        member.waiting = answer
        if member.member_id == self.leader:
            assigned: Mapping[str, bytes] = dict(request._group_assignment)
            self.state = GroupState.STABLE
            for one in self.members.values():
                one.assignment = assigned.get(one.member_id, b"")
                answer_waiting(one, SimpleNamespace(error_code=ErrorCode.NONE, member_assignment=one.assignment))
                self._restart_session(one)
        return answer

    def heartbeat(self, member_id: str, generation: int) -> ErrorCode:
        """Heartbeat: also what tells a member to join again."""
        code = self._check(member_id, generation, None)
        if code is not ErrorCode.NONE:
            return code
        self._restart_session(self.members[member_id])
        return ErrorCode.REBALANCE_IN_PROGRESS if self.state is GroupState.PREPARING else ErrorCode.NONE

    def leave(self, member_id: str) -> ErrorCode:
        """LeaveGroup."""
        member = self.members.get(member_id)
        if member is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        self._remove(member)
        return ErrorCode.NONE

    def forget_members(self, generation: int) -> None:
        """Know nobody, and no later generation than this one: everybody joins again."""
        for member in list(self.members.values()):
            self._forget(member)
            answer_waiting(member, refused_join(ErrorCode.UNKNOWN_MEMBER_ID))
        if self._join_timer is not None:
            self._join_timer.cancel()
        self.generation, self.state, self.leader = generation, GroupState.EMPTY, ""

    def rebalance(self) -> None:
        """Let everybody join again, as any change of the membership does."""
        if self.state is GroupState.STABLE:
            self._prepare()

    def _check(self, member_id: str, generation: int, instance_id: str | None) -> ErrorCode:
        if instance_id is not None:
            known = next((m for m in self.members.values() if m.instance_id == instance_id), None)
            if known is None:
                return ErrorCode.UNKNOWN_MEMBER_ID
            if known.member_id != member_id:
                return ErrorCode.FENCED_INSTANCE_ID
        elif member_id not in self.members:
            return ErrorCode.UNKNOWN_MEMBER_ID
        return ErrorCode.NONE if generation == self.generation else ErrorCode.ILLEGAL_GENERATION

    def _prepare(self) -> None:
        if self.state is GroupState.PREPARING:
            return
        if self.state is GroupState.COMPLETING:
            for member in self.members.values():
                if not member.joined:
                    answer_waiting(
                        member, SimpleNamespace(error_code=ErrorCode.REBALANCE_IN_PROGRESS, member_assignment=b"")
                    )
        self.state = GroupState.PREPARING
        wait_s = max((m.rebalance_s for m in self.members.values()), default=0.0)
        self._join_timer = self.loop.in_world(wait_s, self._complete_join)

    def _complete_join_if_all(self) -> None:
        if self.state is GroupState.PREPARING and all(member.joined for member in self.members.values()):
            self._complete_join()

    def _complete_join(self) -> None:
        if self._join_timer is not None:
            self._join_timer.cancel()
        for member in [m for m in self.members.values() if not m.joined]:
            if member.instance_id is None:
                self._forget(member)
        self.generation += 1
        if not self.members:
            self.state, self.leader = GroupState.EMPTY, ""
            return
        self.state = GroupState.COMPLETING
        if self.leader not in self.members or not self.members[self.leader].joined:
            self.leader = next((m.member_id for m in self.members.values() if m.joined), "")
        for member in self.members.values():
            member.joined = False
            answer_waiting(member, self._joined(member, self.leader))
            self._restart_session(member)

    def _joined(self, member: Member, leader: str) -> Any:
        return SimpleNamespace(
            error_code=ErrorCode.NONE,
            generation_id=self.generation,
            leader_id=leader,
            member_id=member.member_id,
            members=[(m.member_id, m.instance_id, m.metadata) for m in self.members.values()],
        )

    def _restart_session(self, member: Member) -> None:
        self._stop_session(member)
        member.timer = self.loop.in_world(member.session_s, self._expire, member)

    def _stop_session(self, member: Member) -> None:
        if member.timer is not None:
            member.timer.cancel()
            member.timer = None

    def _expire(self, member: Member) -> None:
        if self.members.get(member.member_id) is member and not member.joined:
            self._remove(member)

    def _forget(self, member: Member) -> None:
        self._stop_session(member)
        self.members.pop(member.member_id, None)

    def _remove(self, member: Member) -> None:
        self._forget(member)
        answer_waiting(member, refused_join(ErrorCode.UNKNOWN_MEMBER_ID))
        if not self.members:
            self._complete_join()
            return
        self._prepare()
        self._complete_join_if_all()

    # offsets

    def check_commit(
        self, member_id: str, generation: int, instance_id: str | None, *, in_transaction: bool
    ) -> ErrorCode:
        """Whether a member may commit offsets. A generation below 0 is accepted from anybody in a transaction."""
        if generation < 0 and self.state is GroupState.EMPTY:
            return ErrorCode.NONE
        if generation >= 0 or member_id or instance_id is not None:
            code = self._check(member_id, generation, instance_id)
            if code is not ErrorCode.NONE:
                return code
        elif not in_transaction:
            return ErrorCode.UNKNOWN_MEMBER_ID
        if not in_transaction and self.state is GroupState.COMPLETING:
            return ErrorCode.REBALANCE_IN_PROGRESS
        return ErrorCode.NONE
