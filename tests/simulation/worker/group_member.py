"""A member of the consumer group, as aiokafka's coordinator is one: joins, heartbeats, rebalances, assignments."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable

from aiokafka.errors import KafkaError
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest

from tests.simulation.kafka_model.brokers import SimulatedBrokers
from tests.simulation.kafka_model.members import MEMBER_ID_REQUIRED
from worker.errors import SentimentError
from worker.kafka.brokers import GROUP
from worker.kafka.protocol.codes import ErrorCode
from worker.kafka.protocol.offsets import Membership
from worker.process import die
from worker.records.types import TopicPartition
from worker.settings import Settings

_JOIN_RETRY_S = 0.1


class GroupMember:
    """One process' membership. on_assigned and on_revoked are awaited before the group is asked for more."""

    def __init__(
        self,
        settings: Settings,
        brokers: SimulatedBrokers,
        on_assigned: Callable[[frozenset[TopicPartition], Membership], Awaitable[None]],
        on_revoked: Callable[[], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._brokers = brokers
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._membership: Membership | None = None
        self._assigned_counts: dict[str, int] | None = None  # of the group's leader

    async def stay_in_group(self) -> None:
        """Join, heartbeat and join again, as aiokafka's coordinator does; everything is revoked before (eager)."""
        member_id = ""
        while True:
            membership = await self._join(member_id)
            if membership is not None:
                await self._heartbeat(membership)
                member_id = self._membership.member_id if self._membership is not None else ""
            else:
                member_id = ""
                await asyncio.sleep(_JOIN_RETRY_S)

    async def _join(self, member_id: str) -> Membership | None:
        settings = self._settings
        while True:
            request = JoinGroupRequest(
                settings.group,
                int(settings.session_timeout_s * 1000),
                int(settings.rebalance_timeout_s * 1000),
                member_id,
                settings.instance_id,
                "consumer",
                [("range", b"")],
            )
            try:
                response = await self._brokers.ask_waiting(request, settings.rebalance_timeout_s + 5)
            except KafkaError:
                await asyncio.sleep(_JOIN_RETRY_S)
                continue
            if response.error_code != MEMBER_ID_REQUIRED:
                break
            member_id = response.member_id
        self._check_instance(response.error_code)
        if response.error_code != ErrorCode.NONE:
            return None
        membership = Membership(response.generation_id, response.member_id, settings.instance_id)
        assigned: list[tuple[str, bytes]] = []
        self._assigned_counts = None
        if response.leader_id == response.member_id:
            assigned = await self._assign([member for member, *_ in response.members])
        return await self._sync(membership, assigned)

    async def _assign(self, members: list[str]) -> list[tuple[str, bytes]]:
        counts = self._assigned_counts = await self._partition_counts()
        tps = [(topic, number) for topic, count in sorted(counts.items()) for number in range(count)]
        chosen = sorted(members)
        return [(one, json.dumps(tps[i :: len(chosen)]).encode()) for i, one in enumerate(chosen)]

    async def _partition_counts(self) -> dict[str, int]:
        return {topic: await self._brokers.num_partitions(topic) for topic in self._settings.topics}

    async def _topics_changed(self) -> bool:
        """Whether the group's leader sees other partitions than it has assigned."""
        if self._assigned_counts is None:
            return False
        await self._brokers.refresh(self._settings.topics)
        return await self._partition_counts() != self._assigned_counts

    async def _sync(self, membership: Membership, assigned: list[tuple[str, bytes]]) -> Membership | None:
        generation, member_id, instance_id = membership
        request = SyncGroupRequest(
            self._settings.group,
            generation,
            member_id,
            instance_id,
            assigned,
        )
        try:
            response = await self._brokers.ask_waiting(request, self._settings.session_timeout_s)
        except KafkaError:
            return None
        self._check_instance(response.error_code)
        if response.error_code != ErrorCode.NONE:
            return None
        found = json.loads(response.member_assignment or b"[]")
        self._membership = membership
        await self._on_assigned(frozenset(TopicPartition(*one) for one in found), membership)
        return membership

    async def _heartbeat(self, membership: Membership) -> None:
        """Until the group rebalances or has expelled us; then everything is revoked, beside further heartbeats."""
        await self._beat(membership, until_rebalance=True)
        beating = asyncio.create_task(self._beat(membership, until_rebalance=False))
        await self._on_revoked()
        beating.cancel()
        await asyncio.wait([beating])

    async def _beat(self, membership: Membership, *, until_rebalance: bool) -> None:
        settings, loop = self._settings, asyncio.get_running_loop()
        answered_s = loop.time()
        request = HeartbeatRequest(settings.group, membership.generation, membership.member_id)
        while True:
            await asyncio.sleep(settings.heartbeat_interval_s)
            try:
                response = await self._brokers.ask(1, request)
            except KafkaError:
                if loop.time() - answered_s > settings.session_timeout_s:
                    self._membership = None
                    return
                continue
            answered_s = loop.time()
            if response.error_code == ErrorCode.REBALANCE_IN_PROGRESS and until_rebalance:
                return
            if response.error_code in {ErrorCode.ILLEGAL_GENERATION, ErrorCode.UNKNOWN_MEMBER_ID}:
                self._membership = None
                return
            self._check_instance(response.error_code)
            if until_rebalance and await self._topics_changed():
                return

    def _check_instance(self, code: int) -> None:
        if code == ErrorCode.FENCED_INSTANCE_ID:
            die(SentimentError("another member has this instance id"))

    async def leave(self) -> None:
        """Leave the group; a static member does not."""
        if self._membership is not None and self._settings.instance_id is None:
            request = LeaveGroupRequest(self._settings.group, self._membership.member_id)
            with contextlib.suppress(KafkaError):
                await self._brokers.ask_coordinator(GROUP, self._settings.group, request, lambda r: (r.error_code,))
