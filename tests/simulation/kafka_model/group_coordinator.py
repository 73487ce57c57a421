"""The group coordinator: the requests of members, and those that commit and fetch offsets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

from tests.simulation.kafka_model.group import Group
from tests.simulation.kafka_model.group_offsets import NO_OFFSET, GroupOffset
from tests.simulation.kafka_model.log import PartitionLog
from tests.simulation.kafka_model.transactions import TransactionCoordinator
from tests.simulation.loop import SimulatedLoop
from worker.kafka.protocol.codes import ErrorCode
from worker.records.types import TopicPartition


class GroupCoordinator:
    """All groups of a cluster. log: the log of a partition, None where there is none."""

    def __init__(
        self,
        loop: SimulatedLoop,
        log: Callable[[TopicPartition], PartitionLog | None],
        transactions: TransactionCoordinator,
    ) -> None:
        self._loop = loop
        self._log = log
        self._transactions = transactions
        self._groups: dict[str, Group] = {}
        self.handlers: dict[str, Callable[[Any], Any]] = {
            "TxnOffsetCommitRequest": self._txn_offset_commit,
            "OffsetFetchRequest": self._offset_fetch,
            "OffsetCommitRequest": self._offset_commit,
            "HeartbeatRequest": self._heartbeat,
            "DescribeGroupsRequest": self._describe,
            "JoinGroupRequest": lambda request: self.group(request._group).join(request),
            "SyncGroupRequest": lambda request: self.group(request._group).sync(request),
            "LeaveGroupRequest": self._leave,
        }

    def group(self, name: str) -> Group:
        """The group, made by the first request that names it."""
        if name not in self._groups:
            self._groups[name] = Group(self._loop, name)
        return self._groups[name]

    def load_again(self, share: Callable[[], float]) -> None:
        """The broker was killed, and answers when it has loaded a share of what each group committed (0 to 1).

        No member is known to it. What is committed meanwhile counts, and is told.
        """
        for group in self._groups.values():
            group.offsets.load(int(share() * len(group.offsets.history)))
            group.forget_members(int(share() * group.generation))

    def loaded(self) -> None:
        """Everything is loaded: the members of before are, too, which have left meanwhile."""
        for group in self._groups.values():
            group.offsets.loaded = None
            group.forget_members(group.generation)

    @property
    def is_loading(self) -> bool:
        """Whether any group's offsets are told in part."""
        return any(group.offsets.loaded is not None for group in self._groups.values())

    def forget_topic(self, topic: str) -> None:
        """The topic is deleted, and with it what groups have committed for it."""
        for group in self._groups.values():
            group.offsets.forget_topic(topic)

    def _txn_offset_commit(self, request: Any) -> Any:
        group = self.group(request.group)
        offsets = {
            TopicPartition(name, number): GroupOffset(offset, metadata)
            for name, partitions in request.topics
            for number, offset, metadata in partitions
        }
        known = {tp: entry for tp, entry in offsets.items() if self._log(tp) is not None}
        code = group.check_commit(
            request.membership.member_id,
            request.membership.generation,
            request.membership.instance_id,
            in_transaction=True,
        )
        if code is ErrorCode.NONE:
            code = group.offsets.check_producer(request.producer)
        if code is ErrorCode.NONE and not self._transactions.holds(request.producer, group=request.group):
            code = ErrorCode.INVALID_TXN_STATE
        if code is ErrorCode.NONE and known:
            group.offsets.stage(request.producer, known)
        found = ((tp, code if tp in known else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION) for tp in offsets)
        return SimpleNamespace(topics=by_topic((tp, (tp.partition, code)) for tp, code in found))

    def _offset_commit(self, request: Any) -> Any:
        group = self.group(request._consumer_group)
        generation, member_id = request._consumer_group_generation_id, request._consumer_id
        code = group.check_commit(member_id, generation, None, in_transaction=False)
        answers = []
        for name, partitions in request._topics:
            for number, offset, metadata in partitions:
                tp = TopicPartition(name, number)
                known = self._log(tp) is not None
                if known and code is ErrorCode.NONE:
                    group.offsets.commit({tp: GroupOffset(offset, metadata)})
                answers.append((tp, (number, code if known else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)))
        return SimpleNamespace(topics=by_topic(answers))

    def _offset_fetch(self, request: Any) -> Any:
        group = self.group(request.group)

        def find(tp: TopicPartition) -> tuple[Any, ...]:
            if request.require_stable and group.offsets.is_unstable(tp):
                return tp.partition, NO_OFFSET, -1, "", ErrorCode.UNSTABLE_OFFSET_COMMIT, {}
            offset, metadata = group.offsets.told(tp)
            return tp.partition, offset, -1, metadata, ErrorCode.NONE, {}

        topics: Any = [
            (name, [find(TopicPartition(name, number)) for number in numbers], {}) for name, numbers in request.topics
        ]
        return SimpleNamespace(topics=topics, error_code=ErrorCode.NONE)

    def _heartbeat(self, request: Any) -> Any:
        return SimpleNamespace(
            error_code=self.group(request._group).heartbeat(request._member_id, request._generation_id)
        )

    def _describe(self, request: Any) -> Any:
        described = [
            (
                ErrorCode.NONE,
                name,
                str(group.state),
                "consumer",
                "range",
                [(one, "worker", "/host") for one in group.members],
            )
            for name in request._groups
            for group in [self.group(name)]
        ]
        return SimpleNamespace(groups=described)

    def _leave(self, request: Any) -> Any:
        return SimpleNamespace(error_code=self.group(request._group).leave(request._member_id))


def by_topic(found: Iterable[tuple[TopicPartition, tuple[int, int]]]) -> list[tuple[str, list[tuple[int, int]]]]:
    """The answers for partitions, as a response lists them."""
    topics: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for tp, one in found:
        topics[tp.topic].append(one)
    return list(topics.items())
