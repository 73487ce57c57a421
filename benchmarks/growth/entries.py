"""Writes many streams' entries to Redis, in a lineage of their own."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from itertools import islice

from worker.ownership.lineage import lineage_name
from worker.records.types import TopicPartition
from worker.state.claims import Claimant, Fence, TopicInfo, Verdict
from worker.state.entry import StreamEntry
from worker.state.store import StateStore

ENTRIES_AT_ONCE = 1_000  # of a request to Redis


async def begin_lineages(
    store: StateStore, tps: Sequence[TopicPartition], topic: TopicInfo
) -> dict[TopicPartition, Fence]:
    """Claim partitions, and begin a lineage of each without states."""
    claims = await store.claim(Claimant("bench", ""), dict.fromkeys(tps, topic))
    token = secrets.token_hex(8)
    fence = Fence(token, lineage_name(token, None), None)
    for tp, claim in claims.items():
        assert await store.begin(tp, claim.token, fence, topic) is Verdict.OK, f"{tp} is claimed by somebody else"
    return dict.fromkeys(tps, fence)


async def write_entries(
    store: StateStore, tp: TopicPartition, fence: Fence, entries: Iterable[tuple[str, StreamEntry]], position: int
) -> None:
    """Flush streams' entries, with the worker's encoder and script; they stand for `position`."""
    left = iter(entries)
    while some := dict(islice(left, ENTRIES_AT_ONCE)):
        verdict = await store.flush(tp, fence, some, position)
        assert verdict is Verdict.OK, f"{tp} is claimed by somebody else"
        fence = fence._replace(position=position)
