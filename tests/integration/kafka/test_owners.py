"""Partitions are taken over from owners that were paused or of version 0.1, on a real broker and a real Redis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.factories.partitions import CONFIG, new_entry, new_observers
from tests.integration.kafka.scene import Scenario, Scene
from tests.workplace import Workplace
from worker.kafka.group_offsets import GroupOffset
from worker.kafka.producer import FencedError, ProducerRecord
from worker.kafka.protocol.offsets import Membership
from worker.ownership.publisher import ExactlyOncePublisher
from worker.ownership.takeover import TakeOver
from worker.process import CrashPoints
from worker.records.types import OutputRecord
from worker.state.claims import Claimant, Fence, TopicInfo, Verdict
from worker.state.store import StateStore

FINGERPRINT = "0123456789abcdef"


def test_states_and_an_open_transaction_of_version_0_1_are_taken_over(
    run: Callable[[Scenario], None], seen: Any, workplace: Workplace
) -> None:
    async def scenario(scene: Scene) -> None:
        store = StateStore(scene.settings, CONFIG, FINGERPRINT)
        owner = await scene.new_producer(f"{scene.tp.topic}-{scene.tp.partition}")
        await scene.commit(owner, b"0", 1)
        await scene.stop_before_the_end(owner, b"open", 2)
        redis: Any = store._redis
        prefix = f"{{{scene.settings.group}:{scene.tp.topic}:0}}:{FINGERPRINT}"
        old = {"producer_id": 5, "producer_epoch": 0, "position": 0, "lineage": "5.0.1"}
        await redis.hset(f"{prefix}:meta", mapping=old)
        await redis.set(f"{prefix}:5.0.1:a", new_entry(2).to_bytes(FINGERPRINT))
        # One record, so that the log reaches as far as the offset.
        inputs = await scene.new_producer("inputs")
        record = ProducerRecord(scene.tp.topic, 0, b"a", b"{}", [])
        await inputs.commit([record], {scene.second: GroupOffset(0)}, "another group")

        takeover = TakeOver(scene.settings, scene.brokers, store, new_observers())
        publisher = ExactlyOncePublisher(scene.settings, scene.brokers, Membership(-1, "", None), 0, CrashPoints(None))
        await publisher.start()
        (owned,) = [found async for found in takeover.take_over([scene.tp], publisher)]
        partition = owned[scene.tp]
        assert (partition.taken, partition.committed, partition.fence.lineage) == (0, 1, "5.0.1")
        verdict, (entry,) = await store.read(scene.tp, partition.fence, ["a"])
        assert verdict is Verdict.OK
        assert entry is not None
        assert entry.num_records == 2
        with pytest.raises(FencedError):
            await owner._end(commit=True)
        output = OutputRecord(scene.settings.events_topic, b"a", b"1", [])
        await publisher.publish({scene.tp: [output]}, {scene.tp: GroupOffset(2, partition.topic.topic_id)})
        assert await scene.offset() == 2
        await store.close()

    run(scenario)
    assert seen() == [b"0", b"1"]


def test_an_owner_that_was_paused_finds_its_claim_replaced_and_its_transaction_ended(
    run: Callable[[Scenario], None], seen: Any
) -> None:
    async def scenario(scene: Scene) -> None:
        store = StateStore(scene.settings, CONFIG, FINGERPRINT)
        paused = await scene.new_producer("1-paused-0")
        topic = TopicInfo((await scene.log.topic_ids([scene.tp.topic]))[scene.tp.topic], 4)
        await store.claim(Claimant("paused", paused.transactional_id), {scene.tp: topic})
        before = Fence("paused", "paused", None)
        assert await store.begin(scene.tp, "paused", before, topic) is Verdict.OK
        await scene.stop_before_the_end(paused, b"open", 1)

        takeover = TakeOver(scene.settings, scene.brokers, store, new_observers())
        publisher = ExactlyOncePublisher(scene.settings, scene.brokers, Membership(-1, "", None), 0, CrashPoints(None))
        await publisher.start()
        async for _ in takeover.take_over([scene.tp], publisher):
            pass
        with pytest.raises(FencedError):
            await paused._end(commit=True)
        assert await store.flush(scene.tp, before, {"a": new_entry()}, 1) is Verdict.CHANGED
        assert await scene.offset() is None
        await store.close()

    run(scenario)
    assert seen() == []
