"""Compares the inputs with their answers, offset by offset: what was lost, and what was answered twice."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Hashable
from typing import Final, NamedTuple

GRACE_S: Final = 10.0
"""Output partitions are read side by side: a gap counts as lost once a later answer is older than this."""


class OffsetSet:
    """A set of offsets as sorted ranges, which is small where offsets come nearly in order."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self.size = 0

    def __contains__(self, offset: int) -> bool:
        at = bisect_right(self._starts, offset) - 1
        return at >= 0 and offset < self._ends[at]

    def add(self, offset: int) -> bool:
        """Add `offset`; whether it was new."""
        at = bisect_right(self._starts, offset) - 1
        if at >= 0 and offset < self._ends[at]:
            return False
        self.size += 1
        joins_left = at >= 0 and self._ends[at] == offset
        joins_right = at + 1 < len(self._starts) and self._starts[at + 1] == offset + 1
        if joins_left and joins_right:
            self._ends[at] = self._ends.pop(at + 1)
            del self._starts[at + 1]
        elif joins_left:
            self._ends[at] += 1
        elif joins_right:
            self._starts[at + 1] = offset
        else:
            self._starts.insert(at + 1, offset)
            self._ends.insert(at + 1, offset + 1)
        return True

    def count_below(self, offset: int) -> int:
        """How many members are below `offset`."""
        return sum(
            min(end, offset) - start for start, end in zip(self._starts, self._ends, strict=True) if start < offset
        )

    @property
    def num_ranges(self) -> int:
        """The ranges that hold the members: the set's memory."""
        return len(self._starts)


class Balance(NamedTuple):
    """Inputs and answers so far. waiting: inputs without an answer yet that may still get one."""

    inputs: int
    answered: int
    waiting: int
    lost: int
    twice: int


class _Partition:
    def __init__(self) -> None:
        self.inputs = OffsetSet()
        self.answers = OffsetSet()
        self.newest = 0  # after the newest answer
        self.marks: deque[tuple[int, int]] = deque()  # the end of a second, and `newest` then
        self.settled = 0  # an input below that has no answer is lost


class Audit:
    """Counts from the beginning of the logs. An input is (topic, partition) and offset; any answer names its input."""

    def __init__(self) -> None:
        self._partitions: dict[Hashable, _Partition] = {}
        self._num_twice = 0

    def input(self, partition: Hashable, offset: int) -> None:
        """There is an input record at `offset`."""
        self._at(partition).inputs.add(offset)

    def answer(self, partition: Hashable, offset: int, now_s: float) -> None:
        """An event or a dead letter answers the input at `offset`."""
        at = self._at(partition)
        if not at.answers.add(offset):
            self._num_twice += 1
        if offset >= at.newest:
            at.newest = offset + 1
            if at.marks and at.marks[-1][0] > now_s:
                at.marks[-1] = at.marks[-1][0], at.newest
            else:
                at.marks.append((int(now_s) + 1, at.newest))

    def balance(self, now_s: float) -> Balance:
        """The counts at `now_s`, which never goes back."""
        num_inputs = num_answered = num_lost = 0
        for at in self._partitions.values():
            while at.marks and now_s - at.marks[0][0] >= GRACE_S:
                at.settled = at.marks.popleft()[1]
            num_inputs += at.inputs.size
            num_answered += at.answers.size
            num_lost += max(0, at.inputs.count_below(at.settled) - at.answers.count_below(at.settled))
        waiting = max(0, num_inputs - num_answered - num_lost)
        return Balance(num_inputs, num_answered, waiting, num_lost, self._num_twice)

    def _at(self, partition: Hashable) -> _Partition:
        return self._partitions.setdefault(partition, _Partition())
