"""The input: records that are written over a time, some of them by transactions of an upstream producer."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass

from tests.simulation.kafka_model.cluster import Cluster
from tests.simulation.kafka_model.log import PartitionLog, ProducerState
from tests.simulation.loop import SimulatedLoop
from tests.simulation.worker.engine import POISON
from tests.simulation.worker.worker_process import TOPICS
from worker.records.types import TopicPartition

NUM_PARTITIONS = 2
_NUM_STREAMS = 5
_UPSTREAM_PRODUCER_ID = 7
_HOLD_POLL_S = 0.2
_MARKER_SHARE = 0.5


@dataclass
class InputRecord:
    """What was written to the input: `record_id` is its own for ever, offsets are not."""

    record_id: str
    tp: TopicPartition
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    may_be_lost: bool = False
    may_be_repeated: bool = False


class InputFeed:
    """Writes the input. records: those written so far. held: partitions to which nothing is written for now."""

    def __init__(self, loop: SimulatedLoop, cluster: Cluster, choices: random.Random, num_records: int) -> None:
        self._loop = loop
        self._cluster = cluster
        self._choices = choices
        self._num_records = num_records
        self.records: dict[str, InputRecord] = {}
        self.held: set[TopicPartition] = set()
        self.is_complete = False

    async def run(self, seconds: float) -> None:
        """Write the input over a time; partitions that are held get theirs later."""
        waiting: dict[TopicPartition, list[InputRecord]] = {}
        for number in range(self._num_records):
            await asyncio.sleep(self._choices.random() * 2 * seconds / self._num_records)
            record = self._new_record(number)
            waiting.setdefault(record.tp, []).append(record)
            self._write(waiting)
        while any(waiting.values()):
            await asyncio.sleep(_HOLD_POLL_S)
            self._write(waiting)
        for tp in waiting:
            self._end_with_marker(tp)
        self.is_complete = True

    def _end_with_marker(self, tp: TopicPartition) -> None:
        """Behind the last record of some partitions lies the marker of a transaction that wrote elsewhere."""
        log = self._cluster.log(tp)
        if log is not None and self._choices.random() < _MARKER_SHARE:
            log.mark(_UPSTREAM_PRODUCER_ID, 0, commit=True, now_ms=int(self._loop.time() * 1000))
            self._cluster.wake_readers()

    def _write(self, waiting: dict[TopicPartition, list[InputRecord]]) -> None:
        for tp, records in waiting.items():
            log = self._cluster.log(tp)
            if tp in self.held or log is None or not records:
                continue
            chance = self._choices.random()
            if chance < 0.1:
                self._write_in_transaction(log, tp, records, commit=chance < 0.05)
            if chance >= 0.05:
                log.append(records)
                self.records |= {record.record_id: record for record in records}
            waiting[tp] = []
        self._cluster.wake_readers()

    def _write_in_transaction(
        self, log: PartitionLog, tp: TopicPartition, records: list[InputRecord], *, commit: bool
    ) -> None:
        """As an upstream producer does; an aborted one writes the same records again."""
        first = log.append(records, _UPSTREAM_PRODUCER_ID)
        log.producers[_UPSTREAM_PRODUCER_ID] = ProducerState(0, open_since=first)
        log.mark(_UPSTREAM_PRODUCER_ID, 0, commit=commit, now_ms=records[0].timestamp)
        if commit:
            self.records |= {record.record_id: record for record in records}

    def _new_record(self, number: int) -> InputRecord:
        choices = self._choices
        tp = TopicPartition(choices.choice(TOPICS), choices.randrange(NUM_PARTITIONS))
        stream = f"@{tp.topic[0]}{tp.partition}{choices.randrange(_NUM_STREAMS)}"
        record_id, now_ms = f"r{number}", int(self._loop.time() * 1000)
        chance = choices.random()
        text = POISON if chance < 0.03 else f"text {number}"
        body: bytes | None = json.dumps({"id": record_id, "text": text, "time": now_ms / 1000}).encode()
        if chance > 0.98:
            body = None
        elif chance > 0.95:
            body = b"not json " + record_id.encode()
        return InputRecord(record_id, tp, now_ms, stream.encode(), body, (("id", record_id.encode()),))
