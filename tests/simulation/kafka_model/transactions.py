"""The transaction coordinator: producer ids and epochs, and transactions that end by a request or by their time-out.

A transaction ends in two steps. The decision is made when the request is answered; the markers, and with them the
group's offsets, follow a moment later. Until then requests of the same transactional id are answered with 51.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from tests.simulation.loop import SimulatedLoop
from worker.kafka.protocol.codes import ErrorCode
from worker.records.types import TopicPartition

MAX_TIMEOUT_MS = 900_000
_MAX_MARKER_DELAY_S = 0.02
_TIMEOUT_CHECK_S = 1.0


class TransactionState(StrEnum):
    """As ListTransactions names them."""

    EMPTY = "Empty"
    ONGOING = "Ongoing"
    PREPARE_COMMIT = "PrepareCommit"
    PREPARE_ABORT = "PrepareAbort"
    COMPLETE_COMMIT = "CompleteCommit"
    COMPLETE_ABORT = "CompleteAbort"


@dataclass
class Transaction:
    """What the coordinator keeps of a transactional id."""

    producer_id: int
    epoch: int
    timeout_s: float
    state: TransactionState = TransactionState.EMPTY
    tps: set[TopicPartition] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    started_s: float = 0.0
    used_s: float = 0.0
    markers_lost: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it is not over: open, or on its way to its end."""
        return self.state is TransactionState.ONGOING or self.is_ending

    @property
    def is_ending(self) -> bool:
        """Whether it is decided and its markers are on their way."""
        return self.state in {TransactionState.PREPARE_COMMIT, TransactionState.PREPARE_ABORT}


class Participants(Protocol):
    """Those who take markers."""

    def write_markers(self, transaction: Transaction, *, commit: bool) -> None:
        """End the transaction in its partitions and groups."""


class TransactionCoordinator:
    """Answers by error codes."""

    def __init__(self, loop: SimulatedLoop, participants: Participants) -> None:
        self._loop = loop
        self._participants = participants
        self._next_producer_id = 1000
        self.transactions: dict[str, Transaction] = {}
        self.on_lost_markers: Callable[[], None] | None = None
        """Set: the markers of the next commit are lost, as if its partitions were deleted, and this is called."""
        loop.in_world(_TIMEOUT_CHECK_S, self._abort_timed_out)

    def init_producer_id(self, transactional_id: str | None, timeout_ms: int) -> tuple[int, int, int]:
        """An error code, the producer's id and its epoch."""
        if transactional_id is None:
            return ErrorCode.NONE, self._new_producer_id(), 0
        if not 0 < timeout_ms <= MAX_TIMEOUT_MS:
            return 50, -1, -1  # INVALID_TRANSACTION_TIMEOUT
        found = self.transactions.get(transactional_id)
        if found is None:
            found = self.transactions[transactional_id] = Transaction(self._new_producer_id(), -1, 0.0)
        if found.is_ending:
            return ErrorCode.CONCURRENT_TRANSACTIONS, -1, -1
        found.epoch += 1
        found.used_s = self._loop.time()
        if found.state is TransactionState.ONGOING:
            self._decide(transactional_id, found, commit=False)
            return ErrorCode.CONCURRENT_TRANSACTIONS, -1, -1
        found.state, found.timeout_s = TransactionState.EMPTY, timeout_ms / 1000
        return ErrorCode.NONE, found.producer_id, found.epoch

    def add(
        self, transactional_id: str, producer: tuple[int, int], tps: set[TopicPartition], groups: set[str]
    ) -> ErrorCode:
        """Partitions and groups that join the transaction; the first ones begin it."""
        found, code = self._find(transactional_id, producer)
        if found is None:
            return code
        if found.is_ending:
            return ErrorCode.CONCURRENT_TRANSACTIONS
        if found.state is not TransactionState.ONGOING:
            found.state, found.started_s = TransactionState.ONGOING, self._loop.time()
            found.tps, found.groups = set(), set()
        found.tps |= tps
        found.groups |= groups
        found.used_s = self._loop.time()
        return ErrorCode.NONE

    def end(self, transactional_id: str, producer: tuple[int, int], *, commit: bool) -> ErrorCode:
        """Commit or abort; the same request again is accepted once more."""
        found, code = self._find(transactional_id, producer)
        if found is None:
            return code
        ending = TransactionState.PREPARE_COMMIT if commit else TransactionState.PREPARE_ABORT
        if found.state is TransactionState.ONGOING:
            self._decide(transactional_id, found, commit=commit)
            return ErrorCode.NONE
        if found.state is ending:
            return ErrorCode.CONCURRENT_TRANSACTIONS
        complete = TransactionState.COMPLETE_COMMIT if commit else TransactionState.COMPLETE_ABORT
        return ErrorCode.NONE if found.state is complete else ErrorCode.INVALID_TXN_STATE

    def holds(self, producer: tuple[int, int], *, tp: TopicPartition | None = None, group: str | None = None) -> bool:
        """Whether the producer has an open transaction with this partition or group in it."""
        return any(
            t.state is TransactionState.ONGOING and (tp in t.tps or group in t.groups)
            for t in self.transactions.values()
            if (t.producer_id, t.epoch) == producer
        )

    @property
    def has_lost_markers(self) -> bool:
        """Whether markers are lost, or may be lost next."""
        lost = any(one.markers_lost for one in self.transactions.values())
        return lost or self.on_lost_markers is not None

    def expire(self, transactional_id: str) -> None:
        """Forget an id that nobody used for long; not while a transaction is open, or lacks its markers."""
        found = self.transactions.get(transactional_id)
        if found is not None and not found.is_open and not found.markers_lost:
            del self.transactions[transactional_id]

    def _find(self, transactional_id: str, producer: tuple[int, int]) -> tuple[Transaction | None, ErrorCode]:
        found = self.transactions.get(transactional_id)
        if found is None or found.producer_id != producer[0]:
            return None, ErrorCode.INVALID_PRODUCER_ID_MAPPING
        if found.epoch != producer[1]:
            return None, ErrorCode.INVALID_PRODUCER_EPOCH
        return found, ErrorCode.NONE

    def _new_producer_id(self) -> int:
        self._next_producer_id += 1
        return self._next_producer_id

    def _decide(self, transactional_id: str, transaction: Transaction, *, commit: bool) -> None:
        transaction.state = TransactionState.PREPARE_COMMIT if commit else TransactionState.PREPARE_ABORT

        on_lost, lost = self.on_lost_markers, commit and self.on_lost_markers is not None
        if lost:
            self.on_lost_markers = None

        def complete() -> None:
            transaction.markers_lost = lost
            if not lost:
                self._participants.write_markers(transaction, commit=commit)
            transaction.state = TransactionState.COMPLETE_COMMIT if commit else TransactionState.COMPLETE_ABORT

        self._loop.in_world(self._loop.random.random() ** 3 * _MAX_MARKER_DELAY_S, complete)
        if lost and on_lost is not None:
            on_lost()

    def _abort_timed_out(self) -> None:
        self._loop.in_world(_TIMEOUT_CHECK_S, self._abort_timed_out)
        for transactional_id, found in self.transactions.items():
            if found.state is TransactionState.ONGOING and self._loop.time() - found.started_s > found.timeout_s:
                self.abort(transactional_id)

    def abort(self, transactional_id: str) -> None:
        """What the coordinator does to a transaction that took too long: its producer is refused from here on."""
        found = self.transactions[transactional_id]
        if found.state is TransactionState.ONGOING:
            found.epoch += 1
            self._decide(transactional_id, found, commit=False)
