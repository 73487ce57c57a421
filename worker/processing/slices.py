"""The records of a micro-batch on their way through its steps: one by one, and those of a partition together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from model import Result
from worker.errors import RecordError
from worker.ownership.partition import Partition
from worker.records.types import InputText, OutputRecord, ResetReason
from worker.state.entry import StreamEntry


@dataclass(slots=True)
class Item:
    """One record on its way: a text to score, a stream to erase, a dead letter, or a record that is skipped.

    starts_empty: whether it is the first of its stream since the stream was empty. reset: why the stream was emptied.
    """

    record: Any
    stream: str = ""
    text: InputText | None = None
    error: RecordError | None = None
    is_skipped: bool = False
    starts_empty: bool = False
    reset: ResetReason | None = None
    result: Result | None = None

    @property
    def concerns_stream(self) -> bool:
        """Whether it reads or changes its stream's state."""
        return self.error is None and not self.is_skipped

    @property
    def erases(self) -> bool:
        """Whether it erases its stream."""
        return self.text is None and self.concerns_stream


@dataclass(slots=True)
class Slice:
    """The records of one partition in a micro-batch, and what came of them. origins: of each output, its item."""

    partition: Partition
    items: list[Item]
    changed: dict[str, StreamEntry | None] = field(default_factory=dict)
    outputs: list[OutputRecord] = field(default_factory=list)
    origins: list[Item] = field(default_factory=list)
    num_shifts: int = 0
    resets: list[ResetReason] = field(default_factory=list)

    def publish(self, item: Item, output: OutputRecord) -> None:
        """Add what is published of `item`."""
        self.outputs.append(output)
        self.origins.append(item)

    @property
    def next_offset(self) -> int:
        """The offset after its last record."""
        return int(self.items[-1].record.offset) + 1

    @property
    def streams(self) -> list[str]:
        """The streams whose states it needs, each once."""
        return list(dict.fromkeys(item.stream for item in self.items if item.concerns_stream))

    def is_replayed(self, item: Item) -> bool:
        """Whether the record was published before, and is only applied to the states again."""
        return bool(item.record.offset < self.partition.committed)
