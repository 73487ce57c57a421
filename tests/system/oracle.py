"""Computes the expected output: one offline pass of the numpy reference over each stream, in offset order.

It shares only the tokenizer and the arithmetic of the mood with the worker. Every expectation follows from what the
test sent, and from where Kafka stored it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model import ReferenceNetwork, StreamState
from model.checkpoint import load_checkpoint
from tests.system.inputs import Sent
from worker.errors import Reason
from worker.settings import Settings
from worker.state.mood import MoodState, MoodTracker

StreamKey = tuple[str, int, str]  # topic, partition, stream


@dataclass(frozen=True)
class ExpectedEvent:
    """The event that the reference expects. `margin` is the lead of the label's probability over the next one."""

    probabilities: tuple[float, float, float]
    score: float
    label: str
    margin: float
    mood: MoodState | None
    num_records: int
    reset: str | None
    final: bool


@dataclass(frozen=True)
class ExpectedState:
    """The state of a stream after its last record."""

    state: StreamState
    mood: MoodState | None
    num_records: int
    time_ms: int


@dataclass
class Expectation:
    """Events, dead letters and shifts by id, and the final states by stream."""

    events: dict[str, ExpectedEvent] = field(default_factory=dict)
    dead_letters: dict[str, Reason] = field(default_factory=dict)
    shifts: set[str] = field(default_factory=set)
    states: dict[StreamKey, ExpectedState] = field(default_factory=dict)


class Oracle:
    """Computes expectations with the checkpoint and the settings of the worker under test."""

    def __init__(self, settings: Settings, checkpoint: Path) -> None:
        loaded = load_checkpoint(checkpoint)
        self.config, self.fingerprint = loaded.config, loaded.fingerprint
        self._network = ReferenceNetwork(loaded, carry=settings.carry)
        self._tracker = MoodTracker(settings)
        self._ttl_ms = settings.state_ttl_s * 1000

    def expect(self, sent: Iterable[Sent]) -> Expectation:
        """The expectation for `sent`, which must be everything in the input topics."""
        expectation = Expectation()
        streams: dict[StreamKey, list[Sent]] = {}
        for record in sorted(sent, key=lambda one: one[:3]):
            if record.input.reason is not None:
                expectation.dead_letters[record.id] = record.input.reason
            else:
                streams.setdefault((record.topic, record.partition, record.input.stream), []).append(record)
        for key, records in streams.items():
            for life in self._lives(records):
                expectation.states.pop(key, None)
                if life.records:
                    expectation.states[key] = self._read(life, expectation)
        return expectation

    def _lives(self, records: Iterable[Sent]) -> Iterator[_Life]:
        """Split the stream at its erasures and expiries; each starts a new life from an empty state."""
        life, latest_ms = _Life(), 0
        for record in records:
            if record.input.text is None:
                yield life
                life = _Life()
                continue
            if life.records and record.input.time_ms - latest_ms > self._ttl_ms:
                yield life
                life = _Life("expired")
            latest_ms = max(latest_ms, record.input.time_ms) if life.records else record.input.time_ms
            life.records.append(record)
        yield life

    def _read(self, life: _Life, expectation: Expectation) -> ExpectedState:
        results = self._network.read((one.input.text or "", one.input.final) for one in life.records)
        mood: MoodState | None = None
        for number, (record, result) in enumerate(zip(life.records, results, strict=True), start=1):
            shift: Any = None
            if record.input.final:
                mood, shift = self._tracker.update(mood, result.score, record.input.time_ms)
            if shift is not None:
                expectation.shifts.add(record.id)
            negative, neutral, positive = result.probabilities.tolist()
            _, second, first = sorted((negative, neutral, positive))
            expectation.events[record.id] = ExpectedEvent(
                probabilities=(negative, neutral, positive),
                score=result.score,
                label=result.label,
                margin=first - second,
                mood=mood,
                num_records=number,
                reset=life.reset if number == 1 else None,
                final=record.input.final,
            )
        time_ms = max(one.input.time_ms for one in life.records)
        return ExpectedState(results[-1].state, mood, len(life.records), time_ms)


@dataclass
class _Life:
    """The records of a stream from an empty state on, and why the state was empty."""

    reset: str | None = None
    records: list[Sent] = field(default_factory=list)
