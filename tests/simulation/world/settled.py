"""Whether the workers have noticed what was done to the input, and whether they are done with it."""

from __future__ import annotations

import asyncio

from tests.simulation.worker.engine import ChainEngine
from tests.simulation.worker.worker_process import GROUP
from tests.simulation.world.slots import Slot
from tests.simulation.world.world import World
from worker.records.types import TopicPartition

_HOLD_POLL_S, _HOLD_BOUND_S = 0.2, 60.0


def is_settled(world: World) -> bool:
    """Whether everything is read, committed and flushed."""
    group = world.cluster.group(GROUP)
    open_transactions = any(t.is_open for t in world.cluster.coordinator.transactions.values())
    if not world.feed.is_complete or world.feed.held or open_transactions:
        return False
    for tp in world.tps:
        offset = group.offsets.committed.get(tp)
        if not world.log(tp).offset:
            stored_id = world.stored(tp).get(b"topic_id", b"").decode()
            if stored_id and not stored_id.endswith(world.cluster.topics[tp.topic].topic_id.hex()):
                return False
            continue
        if offset is None or offset.offset != world.log(tp).offset:
            return False
        for model in {slot.model.name: slot.model for slot in world.slots if slot.wanted}.values():
            if not _is_flushed(world, tp, [slot for slot in world.slots if slot.model is model], model):
                return False
    return all(slot.model is world.model for slot in world.workers if slot.wanted)


def _is_flushed(world: World, tp: TopicPartition, slots: list[Slot], model: ChainEngine) -> bool:
    """Whether one of these, which run `model`, owns the partition and has flushed all of it."""
    owners = [
        slot.worker.manager.partitions[tp]
        for slot in slots
        if slot.worker is not None and tp in slot.worker.manager.partitions
    ]
    if not any(one.owned and one.is_flushed and not one.lost for one in owners):
        return False
    return world.stored(tp, model).get(b"position") == str(world.log(tp).offset).encode()


async def hold_input(world: World, tps: list[TopicPartition]) -> None:
    """Write nothing to a log that was cut or created again until every worker has noticed."""
    world.feed.held |= set(tps)
    deadline = world.loop.time() + _HOLD_BOUND_S
    while not all(_is_noticed(world, tp) for tp in tps):
        if world.loop.time() > deadline:
            world.problems.append(f"nobody notices that {tps} changed")
            break
        await asyncio.sleep(_HOLD_POLL_S)
    world.feed.held -= set(tps)


def _is_noticed(world: World, tp: TopicPartition) -> bool:
    log, group = world.cluster.log(tp), world.cluster.group(GROUP)
    if log is None or group.offsets.is_unstable(tp):
        return False
    offset = group.offsets.committed.get(tp)
    if offset is not None and offset.offset > log.offset:
        return False
    topic_id = world.cluster.topics[tp.topic].topic_id.hex()
    for slot in world.slots:
        worker = slot.worker
        if worker is None or slot.process is None or not slot.process.alive:
            continue
        partition = worker.manager.partitions.get(tp)
        taking = worker.manager._taking
        if taking is not None and not taking.done():
            return False
        if worker.consumer.in_flight.has(tp):
            return False
        if partition is not None and partition.owned:
            is_known = partition.topic.topic_id.endswith(topic_id)
            if not is_known or partition.taken > log.offset or partition.committed > log.offset:
                return False
    return True
