"""What must hold when everything has settled."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any

from tests.simulation.worker.engine import EMPTY, MODELS, POISON, Chain, ChainEngine, chain_of, chain_score
from tests.simulation.worker.worker_process import GROUP
from tests.simulation.world.input_feed import InputRecord
from tests.simulation.world.world import World
from worker.records.types import TopicPartition
from worker.state.entry import StreamEntry

_ALL = 10**9
_BY_FINGERPRINT = {model.fingerprint: model for model in MODELS}


def differences(world: World) -> list[str]:
    """Every way in which the world is not as if nothing had happened."""
    events, deadletters = _outputs(world)
    found = list(world.problems)
    for tp in world.tps:
        found += _check_partition(world, tp, events, deadletters)
    there = {record_id for tp in world.tps for record_id in _surviving(world, tp)}
    for record_id, record in world.feed.records.items():
        if record_id in there:
            continue
        seen = len(events[record_id]) + deadletters[record_id]
        if not record.may_be_lost:
            found.append(f"{record_id} is not in its log any more")
        elif seen > 1 and not record.may_be_repeated:
            found.append(f"{record_id}, lost from its log: {seen} outputs")
    found += [f"{one}: an output of nothing" for one in {*events, *deadletters} - set(world.feed.records)]
    return found


def _surviving(world: World, tp: TopicPartition) -> dict[str, InputRecord]:
    entries, _ = world.log(tp).committed(0, _ALL)
    return {record_id: world.feed.records[record_id] for e in entries if (record_id := _header(e, "id"))}


def _outputs(world: World) -> tuple[dict[str, list[Any]], Counter[str]]:
    """The events of each record, and the number of its dead letters."""
    events: dict[str, list[Any]] = defaultdict(list)
    deadletters: Counter[str] = Counter()
    events_topic, _, deadletters_topic = world.output_topics
    for log in world.cluster.topics[events_topic].logs:
        for entry in log.committed(0, _ALL)[0]:
            event = json.loads(entry.value or b"{}")
            events[event["record_id"]].append(event)
    for log in world.cluster.topics[deadletters_topic].logs:
        for entry in log.committed(0, _ALL)[0]:
            deadletters[_header(entry, "id")] += 1
    return events, deadletters


def _header(entry: Any, name: str) -> str:
    return next((value.decode() for key, value in entry.headers if key == name), "")


def _check_partition(
    world: World, tp: TopicPartition, events: dict[str, list[Any]], deadletters: Counter[str]
) -> list[str]:
    """The events of a log in their order, and the states that follow from it."""
    found = []
    chains: dict[str, dict[str, Chain]] = {model.name: defaultdict(lambda: EMPTY) for model in MODELS}
    for record_id, record in _surviving(world, tp).items():
        stream = (record.key or b"").decode()
        where = f"{tp.topic}-{tp.partition} {record_id}"
        wants_event, is_dead = _wanted(record)
        for model in MODELS:
            of_model = chains[model.name]
            if record.value is None:
                of_model.pop(stream, None)
            elif wants_event:
                of_model[stream] = model.after(of_model[stream], json.loads(record.value)["text"])
        num_events, num_dead = len(events[record_id]), deadletters[record_id]
        if (num_events, num_dead) != (int(wants_event), int(is_dead)) and not (
            record.may_be_repeated and num_events >= wants_event and num_dead >= is_dead
        ):
            found.append(f"{where}: {num_events} events and {num_dead} dead letters")
        elif wants_event and not record.may_be_repeated:
            event = events[record_id][0]
            score, number = event["score"], event["state"]["num_records"]
            chain = chains[_BY_FINGERPRINT[event["model"]["fingerprint"]].name][stream]
            expected = chain_score(chain), chain[1]
            if (score, number) != expected:
                found.append(f"{where}: score and record number {score, number}, not {expected}")
    offset = world.cluster.group(GROUP).offsets.committed.get(tp)
    if world.log(tp).offset and (offset is None or offset.offset != world.log(tp).offset):
        found.append(f"{tp.topic}-{tp.partition}: the group's offset is {offset}, the end {world.log(tp).offset}")
    for model in {slot.model.name: slot.model for slot in world.slots if slot.wanted}.values():
        found += _check_states(world, tp, model, chains[model.name])
    return found


def _wanted(record: InputRecord) -> tuple[bool, bool]:
    """Whether the record makes an event, and whether a dead letter."""
    if record.value is None:
        return False, False
    is_dead = record.value.startswith(b"not json") or POISON.encode() in record.value
    return not is_dead, is_dead


def _check_states(world: World, tp: TopicPartition, model: ChainEngine, chains: dict[str, Chain]) -> list[str]:
    """The states of a model in Redis, under the lineage in force."""
    prefix = f"{{{GROUP}:{tp.topic}:{tp.partition}}}:{model.fingerprint}"
    meta = world.redis.data.get(f"{prefix}:meta".encode(), {})
    lineage = meta.get(b"lineage", b"").decode()
    start = f"{prefix}:{lineage}:".encode()
    stored = {
        key.removeprefix(start).decode(): StreamEntry.from_bytes(value, model.config, model.fingerprint)
        for key, value in world.redis.data.items()
        if key.startswith(start) and key != f"{prefix}:meta".encode()
    }
    actual = {stream: (*chain_of(entry.state), entry.num_records) for stream, entry in stored.items()}
    expected = {stream: (*chain, chain[1]) for stream, chain in chains.items()}
    if actual == expected:
        return []
    wrong = sorted(s for s in {*actual, *expected} if actual.get(s) != expected.get(s))
    shown = [f"{s} has {actual.get(s, ('', 0))[1]} records of {expected.get(s, ('', 0))[1]}" for s in wrong]
    return [f"{tp.topic}-{tp.partition}: the states of {model.name} in Redis differ: {', '.join(shown)}"]
