"""Does a killed broker that returns tell the group's offsets before it has loaded all of them?

    python -m tests.loading_coordinator
    python -m tests.loading_coordinator --kills 2 --burners 0

Three transactional producers commit offsets of six partitions all the time, with an event each that says so. Again and
again the only broker is killed and started, while other processes keep the processors busy. Prints for each kill the
least offset that was acknowledged before it, the least that the group is first said to have, the least that a take-over
goes on at (worker/ownership/published.py), and after how many seconds it knows that.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from typing import Any

from tests.faults.busy_broker import busy
from worker.errors import DependencyError, SentimentError
from worker.kafka.brokers import Brokers
from worker.kafka.group import Group
from worker.kafka.group_offsets import GroupOffset
from worker.kafka.log import Log
from worker.kafka.producer import FencedError, ProducerRecord
from worker.kafka.progress import Progress, Said, progress_header
from worker.kafka.topics import ensure_topics
from worker.kafka.transaction import TransactionalProducer
from worker.monitoring.metrics import Metrics
from worker.ownership.published import ProvenOffsets, Published
from worker.process import CrashPoints
from worker.records.types import TopicPartition
from worker.settings import Settings, load_settings
from worker.stack import LocalStack

NUM_PRODUCERS, NUM_PARTITIONS = 3, 6
POLL_S = 0.2
TIMEOUTS: dict[str, Any] = {
    "request_timeout_s": 8,
    "commit_timeout_s": 20,
    "transaction_timeout_s": 30,
    "revoke_timeout_s": 15,
}


class Committers:
    """The producers, and what of each partition was acknowledged."""

    def __init__(self, settings: Settings, topic_id: str) -> None:
        self.settings = settings
        self.topic_id = topic_id
        self.tps = [TopicPartition(settings.topics[0], number) for number in range(NUM_PARTITIONS)]
        self.acknowledged = dict.fromkeys(self.tps, 0)
        self.stopped = False

    def _event(self, tp: TopicPartition, offset: int) -> ProducerRecord:
        said = progress_header(Said(self.settings.group, tp, self.topic_id, Progress(0, offset)))
        return ProducerRecord(self.settings.events_topic, tp.partition, b"k", b"v", [said])

    async def commit(self, number: int) -> None:
        """Commit one offset after the other until stopped; after an error, as a new producer of the same id."""
        own = self.tps[number::NUM_PRODUCERS]
        async with Brokers(self.settings) as brokers:
            producer = None
            while not self.stopped:
                try:
                    if producer is None:
                        name = f"{self.settings.group}:{number}"
                        producer = TransactionalProducer(self.settings, brokers, name, CrashPoints(None))
                        await producer.start()
                    new = {tp: self.acknowledged[tp] + 1 for tp in own}
                    offsets = {tp: GroupOffset(offset, self.topic_id) for tp, offset in new.items()}
                    await producer.commit([self._event(tp, new[tp]) for tp in own], offsets, self.settings.group)
                    self.acknowledged.update(new)
                except (SentimentError, FencedError):
                    producer = None
                    await asyncio.sleep(POLL_S)


async def least(group: Group, tps: list[TopicPartition]) -> int:
    """The least offset that the group has of the partitions, once the broker answers."""
    while True:
        try:
            found = (await group.offsets(tps, stable=False)).offsets
        except DependencyError:
            await asyncio.sleep(POLL_S)
            continue
        return min(offset.offset if (offset := found.get(tp)) is not None else 0 for tp in tps)


async def least_proven(settings: Settings, brokers: Brokers, tps: list[TopicPartition]) -> int:
    """The least offset that a take-over goes on at, once the broker answers."""
    group, log = Group(settings, brokers, settings.group), Log(settings, brokers)
    while True:
        try:
            ids = await log.topic_ids({tp.topic for tp in tps})
            published = await Published(settings, brokers).progress(ids, tps)
            proven = ProvenOffsets(settings, group, log, Metrics(settings.topics), published, ids)
            found, unstable = await proven.read(tps)
        except DependencyError:
            await asyncio.sleep(POLL_S)
            continue
        if not unstable:
            return min(one.offset.offset if one.offset is not None else 0 for one in found.values())
        await asyncio.sleep(POLL_S)


async def measure(stack: LocalStack, num_kills: int, num_burners: int, every_s: float) -> int:
    """Print a line for each kill; the number of those after which a take-over would go on too low."""
    settings = load_settings(
        kafka=stack.kafka, redis=stack.redis, topics="tweets", partitions=NUM_PARTITIONS, group="loading", **TIMEOUTS
    )
    await asyncio.to_thread(ensure_topics, settings)
    num_low = 0
    async with Brokers(settings) as brokers:
        group = Group(settings, brokers, settings.group)
        ids = await Log(settings, brokers).topic_ids(settings.topics)
        committers = Committers(settings, ids[settings.topics[0]])
        tasks = [asyncio.create_task(committers.commit(number)) for number in range(NUM_PRODUCERS)]
        for kill in range(1, num_kills + 1):
            await asyncio.sleep(every_s)
            await asyncio.to_thread(stack.brokers[0].kill)
            before = min(committers.acknowledged.values())
            with busy(num_burners):
                await asyncio.to_thread(stack.brokers[0].start)
                began_s = time.monotonic()
                told = await least(group, committers.tps)
                proven = await least_proven(settings, brokers, committers.tps)
            num_low += proven < before
            print(f"| {kill} | {before:,} | {told:,} | {proven:,} | {time.monotonic() - began_s:.1f} |", flush=True)
    committers.stopped = True
    await asyncio.gather(*tasks)
    return num_low


def main() -> int:
    """1 where a take-over would go on too low."""
    parser = argparse.ArgumentParser(prog="python -m tests.loading_coordinator", description=__doc__)
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--burners", type=int, default=8, help="processes that keep the processors busy meanwhile")
    parser.add_argument("--every", type=float, default=25.0, metavar="SECONDS", help="before each kill")
    asked = parser.parse_args()
    print("| kill | acknowledged | told first | gone on at | known after, s |\n|---|---|---|---|---|", flush=True)
    with LocalStack() as stack:
        return int(asyncio.run(measure(stack, asked.kills, asked.burners, asked.every)) > 0)


if __name__ == "__main__":
    sys.exit(main())
