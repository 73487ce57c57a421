"""What an owner of a partition does with the store of states, in one call each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tests.factories.partitions import TOPIC, new_partition, take
from tests.factories.records import TWEETS
from tests.workplace import Workplace
from worker.ownership.partition import Partition
from worker.state.claims import Claim, Claimant, Fence, TopicInfo, Verdict
from worker.state.entry import StreamEntry
from worker.state.store import StateStore

FINGERPRINT = "0123456789abcdef"
Scenario = Callable[[StateStore], Awaitable[None]]


async def claim(store: StateStore, token: str, transactional_id: str = "", topic: TopicInfo = TOPIC) -> Claim:
    return (await store.claim(Claimant(token, transactional_id), {TWEETS: topic}))[TWEETS]


async def own(store: StateStore, token: str = "one") -> Partition:
    """Go on with the states that are there, or begin a lineage."""
    found = await claim(store, token)
    fence = Fence(token, found.lineage or token, found.position)
    if found.lineage is None:
        assert await store.begin(TWEETS, token, fence, TOPIC) is Verdict.OK
    start = found.position or 0
    return new_partition(owner=token, lineage=fence.lineage, position=found.position, start=start, committed=start)


async def flush(store: StateStore, partition: Partition, offset: int, **entries: StreamEntry | None) -> Verdict:
    take(partition, offset)
    partition.apply(entries, offset)
    snapshot = partition.snapshot()
    verdict = await store.flush(TWEETS, *snapshot)
    if verdict is Verdict.OK:
        partition.flushed(snapshot)
    return verdict


def meta_key(workplace: Workplace) -> str:
    return f"{{{workplace.settings.group}:tweets:0}}:{FINGERPRINT}:meta"
