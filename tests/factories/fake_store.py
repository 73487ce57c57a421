"""A Redis in this process, as far as the unit tests need it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from tests.factories.records import TWEETS
from worker.records.types import TopicPartition
from worker.state.claims import Claim, Claimant, Fence, TopicInfo, Verdict
from worker.state.entry import StreamEntry


@dataclass
class Meta:
    """A partition's hash in Redis; see claim.lua. expired: whether it was flushed too long ago."""

    owner: str = ""
    transactional_id: str = ""
    topic_id: str = ""
    num_partitions: int = 0
    lineage: str | None = None
    position: int | None = None
    expired: bool = False
    num_resets: int | None = None

    @property
    def fence(self) -> Fence | None:
        """What a read or a flush is compared with."""
        return None if self.lineage is None else Fence(self.owner, self.lineage, self.position)


class FakeStore:
    """A Redis. It gives `answers` first: a verdict, an error to raise, or None for the real one.

    The first read or flush of a partition that nobody has claimed finds what it asks for.
    """

    def __init__(self, *answers: Verdict | Exception | None) -> None:
        self.answers = list(answers)
        self.metas: dict[TopicPartition, Meta] = {}
        self.entries: dict[tuple[TopicPartition, str, str], StreamEntry] = {}
        self.served: set[TopicPartition] = set()  # by workers of the asker's model

    @property
    def fence(self) -> Fence | None:
        """What stands there for tweets-0."""
        return self.metas[TWEETS].fence if TWEETS in self.metas else None

    def _next_answer(self) -> Verdict | None:
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _compare(self, tp: TopicPartition, fence: Fence) -> Verdict:
        answer = self._next_answer()
        if answer is not None:
            return answer
        owner, lineage, position = fence
        meta = self.metas.setdefault(tp, Meta(owner=owner, lineage=lineage, position=position))
        return Verdict.OK if meta.fence == fence else Verdict.CHANGED

    async def claim(
        self, claimant: Claimant, topics: Mapping[TopicPartition, TopicInfo]
    ) -> dict[TopicPartition, Claim]:
        """As claim.lua does."""
        self._next_answer()
        refused = self.served if claimant.is_shadow else set()
        return {tp: self._claim(claimant, tp, topic) for tp, topic in topics.items() if tp not in refused}

    def _claim(self, claimant: Claimant, tp: TopicPartition, topic: TopicInfo) -> Claim:
        meta = self.metas.setdefault(tp, Meta())
        predecessor = meta.transactional_id
        meta.owner, meta.transactional_id, _ = claimant
        meta.topic_id = meta.topic_id or topic.topic_id
        meta.num_partitions = meta.num_partitions or topic.num_partitions
        position = None if meta.expired or meta.lineage is None else meta.position
        known = TopicInfo(meta.topic_id, meta.num_partitions)
        return Claim(claimant.token, position, meta.lineage, predecessor, known, num_resets=meta.num_resets)

    async def begin(self, tp: TopicPartition, token: str, successor: Fence, topic: TopicInfo) -> Verdict:
        """As begin.lua does."""
        answer = self._next_answer()
        if answer is not None:
            return answer
        meta = self.metas.setdefault(tp, Meta())
        if meta.owner != token:
            return Verdict.CHANGED
        self.metas[tp] = Meta(successor.owner, meta.transactional_id, *topic, successor.lineage)
        return Verdict.OK

    async def first_partition_counts(self, topics: Collection[str]) -> dict[str, int]:
        """As StateStore does."""
        found = {name: self.metas.get(TopicPartition(name, 0), Meta()).num_partitions for name in topics}
        return {name: count for name, count in found.items() if count}

    async def read(
        self, tp: TopicPartition, fence: Fence, streams: Sequence[str]
    ) -> tuple[Verdict, list[StreamEntry | None]]:
        """As StateStore does."""
        verdict = self._compare(tp, fence)
        found = [self.entries.get((tp, fence.lineage, stream)) for stream in streams]
        return verdict, found if verdict is Verdict.OK else []

    async def flush(
        self,
        tp: TopicPartition,
        fence: Fence,
        entries: Mapping[str, StreamEntry | None],
        position: int,
        num_resets: int | None = None,
    ) -> Verdict:
        """As flush.lua does."""
        verdict = self._compare(tp, fence)
        if verdict is Verdict.OK:
            self.metas[tp].position, self.metas[tp].expired = position, False
            self.metas[tp].num_resets = num_resets
            for stream, entry in entries.items():
                self.entries.pop((tp, fence.lineage, stream), None)
                if entry is not None:
                    self.entries[tp, fence.lineage, stream] = entry
        return verdict
