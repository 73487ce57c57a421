"""The header by which an output says how far its group has come in the input partition that it is of.

It is on the last event and on the last dead letter of the partition in each transaction, and written with the group's
offset or not at all. So the later of the last ones says what the group's offset was when something of the partition was
last published, whatever a coordinator says of it later.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from worker.records.types import Header, OutputRecord, TopicPartition

PROGRESS = "sentiment-progress"
_SEPARATOR = ":"  # in no name of a group or topic, and in no id


class Progress(NamedTuple):
    """How far a group has come in a partition: the later of two is the greater.

    num_resets: how often its offset went back on purpose, in what is still known of the topic.
    """

    num_resets: int
    offset: int


class Said(NamedTuple):
    """What a header says. topic_id: as cluster/topic, since a name may be another topic later."""

    group: str
    tp: TopicPartition
    topic_id: str
    progress: Progress


def progress_header(said: Said) -> Header:
    """The header that `read_progress` reads."""
    group, (topic, partition), topic_id, progress = said
    return PROGRESS, _SEPARATOR.join((group, topic, str(partition), topic_id, *map(str, progress))).encode()


def with_header(outputs: Sequence[OutputRecord], topics: Collection[str], header: Header) -> Sequence[OutputRecord]:
    """The same `outputs`, of which the last one to each of `topics` has the header, too."""
    last = {output.topic: number for number, output in enumerate(outputs) if output.topic in topics}
    said = list(outputs)
    for number in last.values():
        said[number] = said[number]._replace(headers=[*said[number].headers, header])
    return said


def read_progress(headers: Sequence[Header]) -> Said | None:
    """What the headers of an output say; None where none of them does, or not as a worker writes it."""
    values = [value for name, value in headers if name == PROGRESS and value is not None]
    parts = values[-1].decode(errors="replace").split(_SEPARATOR) if values else []
    if len(parts) != 6 or not all(_is_number(parts[number]) for number in (2, 4, 5)):
        return None
    group, topic, partition, topic_id, num_resets, offset = parts
    return Said(group, TopicPartition(topic, int(partition)), topic_id, Progress(int(num_resets), int(offset)))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18
