"""What a take-over reads at the ends of the output topics, on a real broker."""

from __future__ import annotations

from collections.abc import Callable

from tests.integration.kafka.scene import Scenario, Scene
from worker.kafka.group_offsets import GroupOffset
from worker.kafka.producer import ProducerRecord
from worker.kafka.progress import Progress, Said, progress_header
from worker.kafka.protocol.offsets import NO_MEMBER
from worker.kafka.transaction import TransactionContent
from worker.ownership.published import Published

NUM_ABORTED = 70  # more than are looked at first


def test_an_old_dead_letter_hides_no_event_that_an_aborted_micro_batch_follows(
    run: Callable[[Scenario], None],
) -> None:
    async def scenario(scene: Scene) -> None:
        ids = await scene.log.topic_ids([scene.tp.topic])
        producer = await scene.new_producer()

        def content(topic: str, offset: int, num_outputs: int = 1) -> TransactionContent:
            said = Said(scene.settings.group, scene.tp, ids[scene.tp.topic], Progress(0, offset))
            outputs = [ProducerRecord(topic, 0, b"key", b"{}", []) for _ in range(num_outputs - 1)]
            outputs.append(ProducerRecord(topic, 0, b"key", b"{}", [progress_header(said)]))
            return TransactionContent(outputs, {scene.tp: GroupOffset(offset)}, scene.settings.group, NO_MEMBER)

        await producer.commit(*content(scene.settings.deadletters_topic, 31))
        await producer.commit(*content(scene.settings.events_topic, 571, 3))
        await producer._prepare(content(scene.settings.events_topic, 571 + NUM_ABORTED, NUM_ABORTED))
        await producer._end(commit=False)
        published = Published(scene.settings, scene.brokers)
        assert await published.progress(ids, [scene.tp]) == {scene.tp: Progress(0, 571)}

    run(scenario)
