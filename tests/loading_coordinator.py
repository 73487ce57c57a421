"""Does a killed broker that returns tell the group's offsets before it has loaded all of them?

    python -m tests.loading_coordinator
    python -m tests.loading_coordinator --kills 2 --burners 0

Three transactional producers commit offsets of six partitions all the time. Again and again the only broker is killed
and started, while other processes keep the processors busy. Prints for each kill the least offset that was acknowledged
before it, the least that the group is first said to have, and after how many seconds that is right.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from worker.errors import DependencyError, SentimentError
from worker.kafka.brokers import Brokers
from worker.kafka.group import Group
from worker.kafka.group_offsets import GroupOffset
from worker.kafka.producer import FencedError, ProducerRecord
from worker.kafka.topics import ensure_topics
from worker.kafka.transaction import TransactionalProducer
from worker.process import CrashPoints
from worker.records.types import TopicPartition
from worker.settings import Settings, load_settings
from worker.stack import LocalStack

NUM_PRODUCERS, NUM_PARTITIONS = 3, 6
BURN_S = 60.0
MAX_WAIT_S = 60.0
POLL_S = 0.2
TIMEOUTS: dict[str, Any] = {
    "request_timeout_s": 8,
    "commit_timeout_s": 20,
    "transaction_timeout_s": 30,
    "revoke_timeout_s": 15,
}
BURNER = f"import time; end = time.time() + {BURN_S}\nwhile time.time() < end: pass"


class Committers:
    """The producers, and what of each partition was acknowledged."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.tps = [TopicPartition(settings.topics[0], number) for number in range(NUM_PARTITIONS)]
        self.acknowledged = dict.fromkeys(self.tps, 0)
        self.stopped = False

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
                    records = [ProducerRecord(self.settings.events_topic, tp.partition, b"k", b"v", []) for tp in own]
                    offsets = {tp: GroupOffset(offset) for tp, offset in new.items()}
                    await producer.commit(records, offsets, self.settings.group)
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


@contextmanager
def _busy(num_processes: int) -> Iterator[None]:
    burners = [subprocess.Popen([sys.executable, "-c", BURNER], start_new_session=True) for _ in range(num_processes)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


async def measure(stack: LocalStack, num_kills: int, num_burners: int, every_s: float) -> int:
    """Print a line for each kill; the number of those after which the group's offsets were told too low."""
    settings = load_settings(
        kafka=stack.kafka, redis=stack.redis, topics="tweets", partitions=NUM_PARTITIONS, group="loading", **TIMEOUTS
    )
    await asyncio.to_thread(ensure_topics, settings)
    committers, num_low = Committers(settings), 0
    tasks = [asyncio.create_task(committers.commit(number)) for number in range(NUM_PRODUCERS)]
    async with Brokers(settings) as brokers:
        group = Group(settings, brokers, settings.group)
        for kill in range(1, num_kills + 1):
            await asyncio.sleep(every_s)
            await asyncio.to_thread(stack.brokers[0].kill)
            before = min(committers.acknowledged.values())
            with _busy(num_burners):
                await asyncio.to_thread(stack.brokers[0].start)
                began_s = time.monotonic()
                first = last = await least(group, committers.tps)
                while last < before and time.monotonic() < began_s + MAX_WAIT_S:
                    await asyncio.sleep(POLL_S)
                    last = await least(group, committers.tps)
            num_low += first < before
            print(f"| {kill} | {before:,} | {first:,} | {time.monotonic() - began_s:.1f} |", flush=True)
    committers.stopped = True
    await asyncio.gather(*tasks)
    return num_low


def main() -> int:
    """1 where offsets were told too low."""
    parser = argparse.ArgumentParser(prog="python -m tests.loading_coordinator", description=__doc__)
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--burners", type=int, default=8, help="processes that keep the processors busy meanwhile")
    parser.add_argument("--every", type=float, default=25.0, metavar="SECONDS", help="before each kill")
    asked = parser.parse_args()
    print("| kill | acknowledged | told first | right after, s |\n|---|---|---|---|", flush=True)
    with LocalStack() as stack:
        return int(asyncio.run(measure(stack, asked.kills, asked.burners, asked.every)) > 0)


if __name__ == "__main__":
    sys.exit(main())
