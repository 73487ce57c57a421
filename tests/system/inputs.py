"""The records that a test feeds; each one says what the worker must make of it."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count as counter
from itertools import islice
from random import Random
from typing import NamedTuple
from zlib import crc32

from tests import kafka_tools
from tests.checkpoints import WORDS
from tests.kafka_tools import Keyed
from worker.errors import Reason

MAX_WORDS = 20


@dataclass(frozen=True, slots=True)
class Input:
    """A text (or a piece of one, if not `final`), an erasure (without text), or a future dead letter (with `reason`).

    time_ms: the event time, and the timestamp in Kafka unless `timestamp_ms` is given.
    record_id: the id in the payload; without one, the worker makes it of the place in Kafka.
    value, key: the bytes in Kafka, if they do not follow from the other fields, as for dead letters.
    """

    stream: str
    text: str | None
    time_ms: int
    final: bool = True
    reason: Reason | None = None
    value: bytes | None = None
    key: bytes | None = None
    timestamp_ms: int | None = None
    record_id: str | None = None
    headers: tuple[tuple[str, bytes], ...] = ()

    def keyed(self, num_partitions: int) -> Keyed:
        """The record to produce; the stream decides the partition."""
        value = self.value
        if value is None and self.text is not None:
            fields = {"stream": self.stream, "text": self.text, "time": self.time_ms}
            fields |= {} if self.final else {"final": False}
            fields |= {"id": self.record_id} if self.record_id else {}
            value = json.dumps(fields).encode()
        key = self.key if self.key is not None else self.stream.encode()
        timestamp_ms = self.timestamp_ms or self.time_ms
        return Keyed(key, value, partition_of(self.stream, num_partitions), timestamp_ms, self.headers)


class Sent(NamedTuple):
    """An input and its place in Kafka."""

    topic: str
    partition: int
    offset: int
    input: Input

    @property
    def id(self) -> str:
        """The id of its event."""
        return f"{self.topic}-{self.partition}-{self.offset}"


def now_ms() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)


def partition_of(stream: str, num_partitions: int) -> int:
    """The partition to which a stream's records are sent."""
    return crc32(stream.encode()) % num_partitions


def send(kafka: str, topic: str, num_partitions: int, inputs: Iterable[Input]) -> list[Sent]:
    """Produce the inputs in order; returns them once all are acknowledged."""
    inputs = list(inputs)
    places = kafka_tools.produce(kafka, topic, [one.keyed(num_partitions) for one in inputs])
    return [Sent(topic, *place, one) for place, one in zip(places, inputs, strict=True)]


def streams_in(partitions: Collection[int], num_partitions: int, count: int = 40) -> list[str]:
    """The names of `count` streams that belong to these partitions."""
    names = (f"stream-{number}" for number in counter())
    return list(islice((name for name in names if partition_of(name, num_partitions) in partitions), count))


STREAMS = tuple(f"stream-{number}" for number in range(40))


def tweets(count: int, seed: int = 1, streams: Sequence[str] = STREAMS, start_ms: int | None = None) -> Iterator[Input]:
    """Whole texts of known words, a millisecond apart; by default the last one is now."""
    random = Random(seed)
    begin_ms = start_ms if start_ms is not None else now_ms() - count
    for number in range(count):
        text = " ".join(random.choices(WORDS, k=random.randint(1, MAX_WORDS)))
        yield Input(random.choice(streams), text, begin_ms + number)


def poison(stream: str) -> Iterator[Input]:
    """One record of every kind that cannot be scored. `stream` must have no open text, because that may end empty."""
    values = {
        Reason.INVALID_UTF8: b'{"text": "caf\xe9"}',
        Reason.INVALID_JSON: b'{"text": "cut of',
        Reason.WRONG_TYPE: b'{"text": 5}',
        Reason.NO_TEXT: b'{"id": "a"}',
        Reason.EMPTY_TEXT: b'{"text": " \\n"}',
        Reason.TEXT_TOO_LONG: json.dumps({"text": "long " * 20_000}).encode(),
        Reason.NO_STREAM: b'{"text": "fine"}',
    }
    for reason, value in values.items():
        key = b"" if reason is Reason.NO_STREAM else None
        yield Input(stream, None, now_ms(), reason=reason, value=value, key=key)


def odd(stream: str) -> Iterator[Input]:
    """Texts with something wrong beside them, or unusual around them: each is scored as if that were not there."""
    text = "a good film"
    values = (
        b'{"text": "a good film", "time": "9000-01-01T00:00:00Z"}',
        b'{"text": "a good film", "time": "noon", "rating": NaN, "user": {"name": "a\\ud83d"}}',
        b'\xef\xbb\xbf{"text": "a good film", "other": "\xff"}',
        b'\0\0\0\0\7{"text": "a good film", "id": {}, "final": "perhaps"}',
        b'[{"text": "a good film"}]',
    )
    for value in values:
        yield Input(stream, text, now_ms(), value=value)


def mixed(count: int, seed: int, streams: Sequence[str] = STREAMS) -> Iterator[Input]:
    """A mixture of whole texts, texts in pieces, erasures, poison, and odd payloads."""
    random = Random(seed)
    bad = list(poison("poison"))
    unusual = list(odd("odd"))
    for one in tweets(count, seed, streams):
        kind = random.random()
        if kind < 0.02:
            yield random.choice(bad)
        elif kind > 0.99:
            yield random.choice(unusual)
        elif kind < 0.03:
            yield replace(one, text=None)
        else:
            yield replace(one, final=kind > 0.2)
