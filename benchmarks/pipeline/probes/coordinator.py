"""What the brokers' coordinators say of a group and of open transactions."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from kafka import KafkaAdminClient

STABLE = "Stable"
ONGOING = "Ongoing"
POLL_S = 0.02


class Coordinator:
    """Asks the coordinators; every call blocks for some ms."""

    def __init__(self, kafka: str, group: str) -> None:
        self._admin: Any = KafkaAdminClient(bootstrap_servers=kafka.split(","))
        self._group = group

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._admin.close()

    def num_stable_members(self) -> int:
        """The number of the group's members if all know their assignments; 0 while the group rebalances."""
        group = self._admin.describe_groups([self._group])[self._group]
        return len(group["members"]) if group["group_state"] == STABLE else 0

    def wait_for_members(self, is_met: Callable[[int], bool], timeout_s: float) -> float:
        """Wait until `is_met` of `num_stable_members`; returns the wall-clock time. Raises TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while not is_met(self.num_stable_members()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"group {self._group} does not change within {timeout_s:g} s")
            time.sleep(POLL_S)
        return time.time()

    def has_open_transaction(self, topic: str, partitions: set[int]) -> bool:
        """Whether a transaction is under way that has written to one of these partitions of `topic`."""
        listings = self._admin.list_transactions(state_filters=[ONGOING])
        ids = [listing.transactional_id for of_broker in listings.values() for listing in of_broker]
        found = self._admin.describe_transactions(ids) if ids else {}
        return any(
            transaction.state.value == ONGOING and tp.topic == topic and tp.partition in partitions
            for transaction in found.values()
            for tp in transaction.topic_partitions
        )
