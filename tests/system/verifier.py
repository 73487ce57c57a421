"""Compares the oracle with what a read_committed consumer sees and what is left in Redis.

Tolerances: the worker computes in float32, and the order of its sums depends on the other texts in a batch; the
reference computes in float64. Over 600 texts of one stream, the states differed by 1e-6 and the probabilities by 2e-7,
with weights larger than those of a trained network. A tolerance of 1e-5 leaves a factor of ten, while a record that is
skipped, repeated or read out of order changes the state by at least 1e-2. The label is an argmax, so it may differ if
the reference's two largest probabilities are within twice the tolerance, 2e-5.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np
import redis

from tests import kafka_tools
from tests.system.oracle import Expectation, ExpectedEvent, ExpectedState, Oracle, StreamKey
from tests.workplace import Workplace
from worker.state.entry import StreamEntry

TOLERANCE = 1e-5
LABEL_MARGIN = 2 * TOLERANCE
NUM_SHOWN = 4
REDIS_TIMEOUT_S = 30.0

IdField = Literal["id", "record_id"]


@dataclass(repr=False)
class Report:
    """The faults found, as one list of messages for each kind; all lists are empty after an exact run."""

    num_records: int = 0
    num_events: int = 0
    num_dead_letters: int = 0
    num_shifts: int = 0
    num_states: int = 0
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    out_of_order: list[str] = field(default_factory=list)
    wrong_label: list[str] = field(default_factory=list)
    wrong_score: list[str] = field(default_factory=list)
    wrong_state: list[str] = field(default_factory=list)

    @property
    def faults(self) -> dict[str, list[str]]:
        """The faults of every kind, by the name of the kind."""
        return {one.name: getattr(self, one.name) for one in fields(self) if not one.name.startswith("num_")}

    @property
    def exact(self) -> bool:
        """Whether there are no faults."""
        return not any(self.faults.values())

    def __repr__(self) -> str:
        counts = " ".join(f"{one.name[4:]}={getattr(self, one.name)}" for one in fields(self) if one.name[:4] == "num_")
        lines = [counts, " ".join(f"{name}={len(found)}" for name, found in self.faults.items())]
        lines += [f"  {name}: {one}" for name, found in self.faults.items() for one in found[:NUM_SHOWN]]
        return "\n".join(lines)


def verify(
    workplace: Workplace, oracle: Oracle, expectation: Expectation, *, states: bool = True, id_field: IdField = "id"
) -> Report:
    """Verify the whole output, and with `states` also Redis, which must be flushed up to the last commit.

    id_field: the field by which `expectation` names its events, those of a stream in their order; record_id where a
    second log repeats the offsets of the first.
    """
    settings = workplace.settings
    report = Report(num_records=len(expectation.events) + len(expectation.dead_letters))
    seen = kafka_tools.read_to_end(
        settings.kafka, settings.events_topic, settings.deadletters_topic, settings.shifts_topic
    )
    by_topic: dict[str, list[Any]] = {name: [] for name in workplace.all_topics}
    for record in seen:
        by_topic[record.topic].append(record)
    events = [json.loads(one.value) for one in by_topic[settings.events_topic]]
    check_events(report, expectation, [(event[id_field], event) for event in events])
    _check_dead_letters(report, expectation, by_topic[settings.deadletters_topic])
    _check_shifts(report, expectation, [json.loads(one.value)["id"] for one in by_topic[settings.shifts_topic]])
    if states:
        check_states(report, expectation.states, stored_states(workplace, oracle))
        behind = positions_behind(workplace, oracle)
        report.wrong_state += [f"{name}: offset and position {offsets}" for name, offsets in behind.items()]
    return report


def check_events(report: Report, expectation: Expectation, events: list[tuple[str, dict[str, Any]]]) -> None:
    """Note in `report` how these events, each after its id, differ from the expected ones."""
    report.num_events = len(events)
    rank = {name: number for number, name in enumerate(expectation.events)}
    latest: dict[tuple[Any, ...], str] = {}
    for name, event in _first_of_each(report, events, expectation.events):
        stream = event["source"]["topic"], event["source"]["partition"], event["stream"]
        if stream in latest and rank[name] < rank[latest[stream]]:
            report.out_of_order.append(f"{name} of {event['stream']} after {latest[stream]}")
        latest[stream] = name
    for name, event in events:
        if name in expectation.events:
            _check_event(report, name, event, expectation.events[name])


def _first_of_each(report: Report, pairs: Iterable[tuple[str, Any]], expected: Iterable[str]) -> Iterator[Any]:
    """Yield the first record of each id; reports missing, repeated and unexpected ids."""
    missing = set(expected)
    known, found = frozenset(missing), set()
    for name, value in pairs:
        if name not in known:
            report.unknown.append(name)
        elif name in found:
            report.twice.append(name)
        else:
            found.add(name)
            yield name, value
    report.lost += sorted(missing - found)


def _check_event(report: Report, name: str, event: dict[str, Any], expected: ExpectedEvent) -> None:
    if event["label"] != expected.label and expected.margin > LABEL_MARGIN:
        report.wrong_label.append(f"{name}: {event['label']}, not {expected.label} (margin {expected.margin:.1e})")
    shares = [event["probabilities"][label] for label in ("negative", "neutral", "positive")]
    mood = expected.mood
    understood = event.get("understood", True)  # version 0.1 did not say
    pairs = {
        "probabilities": (shares, expected.probabilities),
        "score": (event["score"], expected.score),
        "confidence": (event["confidence"], min(max(expected.probabilities), 1 if understood else 1 / 3)),
        "mood.score": (event["mood"]["score"], mood.score if mood else 0.0),
        "mood.magnitude": (event["mood"]["magnitude"], mood.magnitude if mood else 0.0),
    }
    for what, (found, due) in pairs.items():
        if not _close(found, due):
            report.wrong_score.append(f"{name}: {what} {found}, not {due}")
    facts = {
        "state.num_records": (event["state"]["num_records"], expected.num_records),
        "state.reset": (event["state"]["reset"], expected.reset),
        "mood.num_records": (event["mood"]["num_records"], mood.num_records if mood else 0),
        "final": (event["final"], expected.final),
    }
    report.wrong_state += [f"{name}: {what} {found}, not {due}" for what, (found, due) in facts.items() if found != due]


def _check_dead_letters(report: Report, expectation: Expectation, records: list[Any]) -> None:
    report.num_dead_letters = len(records)
    headers = [{name: value.decode() for name, value in record.headers} for record in records]
    named = (("-".join(one[f"sentiment-{part}"] for part in ("topic", "partition", "offset")), one) for one in headers)
    for name, found in _first_of_each(report, named, expectation.dead_letters):
        reason = expectation.dead_letters[name]
        if found["sentiment-reason"] != reason:
            report.wrong_label.append(f"{name}: dead for {found['sentiment-reason']}, not {reason}")


def _check_shifts(report: Report, expectation: Expectation, ids: list[str]) -> None:
    report.num_shifts = len(ids)
    list(_first_of_each(report, ((name, None) for name in ids), expectation.shifts))


def stored_states(workplace: Workplace, oracle: Oracle) -> dict[StreamKey, StreamEntry]:
    """Every state in Redis under the current lineage of its partition."""
    found = {}
    with redis.Redis.from_url(workplace.settings.redis, socket_timeout=REDIS_TIMEOUT_S) as client:
        for topic, partition, prefix in prefixes(workplace, oracle):
            lineage = client.hget(f"{prefix}:meta", "lineage")
            if lineage is None:
                continue
            start = f"{prefix}:{lineage.decode()}:".encode()
            # our own names contain no glob characters except this one
            pattern = start.replace(b"[", b"\\[")
            for key in client.scan_iter(pattern + b"*", count=1000):
                value = client.get(key)
                if value is not None:
                    stream = key.removeprefix(start).decode()
                    found[topic, partition, stream] = StreamEntry.from_bytes(value, oracle.config, oracle.fingerprint)
    return found


def prefixes(workplace: Workplace, oracle: Oracle) -> Iterator[tuple[str, int, str]]:
    """Each partition, and how its keys in Redis begin."""
    settings = workplace.settings
    for topic in settings.topics:
        for partition in range(settings.partitions):
            yield topic, partition, f"{{{settings.group}:{topic}:{partition}}}:{oracle.fingerprint}"


def positions_behind(workplace: Workplace, oracle: Oracle) -> dict[str, tuple[int, int | None]]:
    """Partitions whose position in Redis differs from the group's offset: the offset, and the position."""
    committed = kafka_tools.committed(workplace.settings.kafka, workplace.settings.group)
    behind = {}
    with redis.Redis.from_url(workplace.settings.redis, socket_timeout=REDIS_TIMEOUT_S) as client:
        for topic, partition, prefix in prefixes(workplace, oracle):
            offset, found = committed.get((topic, partition)), client.hget(f"{prefix}:meta", "position")
            position = None if found is None else int(found)
            if offset is not None and position != offset:
                behind[f"{topic}-{partition}"] = offset, position
    return behind


def check_states(report: Report, expected: dict[StreamKey, ExpectedState], found: dict[StreamKey, StreamEntry]) -> None:
    """Note in `report` how the states that were found differ from the expected ones."""
    report.num_states = len(found)
    for key in expected.keys() ^ found.keys():
        report.wrong_state.append(f"{key}: {'no state' if key in expected else 'a state that should be gone'}")
    for key in expected.keys() & found.keys():
        report.wrong_state += [f"{key}: {problem}" for problem in _differences(expected[key], found[key])]


def _differences(expected: ExpectedState, found: StreamEntry) -> Iterator[str]:
    if (found.num_records, found.time_ms) != (expected.num_records, expected.time_ms):
        yield f"{found.num_records} records up to {found.time_ms}, not {expected.num_records} to {expected.time_ms}"
    if found.state.num_texts != expected.state.num_texts:
        yield f"{found.state.num_texts} texts, not {expected.state.num_texts}"
    if not _close(found.state.carried, expected.state.carried):
        yield f"state off by {np.abs(found.state.carried - expected.state.carried).max():.1e}"
    opened, due = found.state.open_text, expected.state.open_text
    if (opened and (opened.pending, opened.num_tokens)) != (due and (due.pending, due.num_tokens)):
        yield "another open text"
    elif opened and due and not (_close(opened.words, due.words) and _close(opened.total, due.total, due.num_tokens)):
        yield "open text off"
    if (found.mood is None) != (expected.mood is None):
        yield f"mood {found.mood}, not {expected.mood}"
    elif found.mood and expected.mood and not _close(found.mood.score, expected.mood.score):
        yield f"mood {found.mood.score}, not {expected.mood.score}"


def _close(found: Any, due: Any, num_summed: int = 1) -> bool:
    """Whether the difference is within the tolerance, times the number of terms of a sum."""
    return bool(np.abs(np.subtract(found, due)).max() <= TOLERANCE * num_summed)
