"""The group's offsets, held against what is published: step 7c of a take-over.

A group's coordinator on a broker of Kafka 4 may answer before it has loaded all offsets (`python -m
tests.loading_coordinator`): after a kill, on busy processors, for seconds or until the broker's next start. Taken for
C, such an offset would have everything behind it published again. The outputs know better: the last one of each
partition says how far the group had come with it (worker/kafka/progress.py), and its log cannot be read before it is
whole.

A coordinator loads in the order in which offsets were committed. So where it tells one of them too low, none of its
answers is taken until it has caught up; and the last outputs of all partitions are looked at, not only of those that
are taken over. Offsets that somebody else committed do not name the topic as a worker does, and stand: replays set them
back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping, Set
from typing import Any, NamedTuple

from aiokafka.errors import KafkaError

from worker.kafka.access.causes import kafka_away
from worker.kafka.brokers import Brokers
from worker.kafka.group import Group, GroupOffsets
from worker.kafka.group_offsets import GroupOffset
from worker.kafka.log import Log
from worker.kafka.log_tail import LogTail
from worker.kafka.progress import Progress, read_progress
from worker.monitoring.metrics import Metrics
from worker.records.types import TopicPartition
from worker.settings import Settings

logger = logging.getLogger(__name__)

# How far from the end it is looked. The last record of a partition is mostly the last one of a transaction, and says
# how far that came; a few markers stand behind it. Where input partitions share one, the last output of the other is
# further back; and behind either there may be micro-batches that were aborted, which no reader sees.
_NUM_OFFSETS = (50, 2_000, 20_000)
_ENOUGH_RECORDS = 1_000  # to see that nothing was published lately, and so to look no further back
_RETRY_S, _LOADING_RETRY_S = 0.02, 0.05


class Published:
    """What the outputs of a group say of its offsets."""

    def __init__(self, settings: Settings, brokers: Brokers) -> None:
        self._settings = settings
        self._brokers = brokers
        self._tail = LogTail(settings, brokers)

    async def progress(
        self, topic_ids: Mapping[str, str], tps: Collection[TopicPartition]
    ) -> dict[TopicPartition, Progress]:
        """What the last output of each input partition says, of `tps` and of others.

        topic_ids: of the input topics, as they are now; other topics and earlier ones of these names count for nothing.
        Without transactions, or on brokers without ids, nothing is said. Raises DependencyError, RefusedError.
        """
        if self._settings.delivery != "exactly_once" or not any(topic_ids.values()):
            return {}
        counts = await self._partition_counts()
        asked = {TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)}
        places = {(TopicPartition(topic, tp.partition % count), tp) for topic, count in counts.items() for tp in tps}
        latest: dict[TopicPartition, Progress] = {}
        for num_offsets in _NUM_OFFSETS:
            for place, tail in (await self._tail.read(sorted(asked), num_offsets)).items():
                said = self._said(place, tail.records, topic_ids, counts[place.topic])
                latest |= {tp: max(progress, latest.get(tp, progress)) for tp, progress in said.items()}
                # What the events say may be older than what the dead letters would, and the other way round.
                is_over = tail.is_whole or len(tail.records) >= _ENOUGH_RECORDS
                places -= {(place, tp) for _, tp in places if is_over or tp in said}
            asked = {place for place, _ in places}
            if not asked:
                break
        return latest

    async def _partition_counts(self) -> dict[str, int]:
        """Of the topics that the worker writes its outcomes to, which exist; brokers may not say so at once."""
        topics = self._settings.outcome_topics
        try:
            async with asyncio.timeout(self._settings.request_timeout_s):
                while True:
                    counts = {topic: await self._brokers.num_partitions(topic) for topic in topics}
                    if all(counts.values()):
                        return counts
                    await asyncio.sleep(_RETRY_S)
        except (KafkaError, TimeoutError) as error:
            raise kafka_away(self._settings, error) from error

    def _said(
        self, place: TopicPartition, records: Iterable[Any], topic_ids: Mapping[str, str], num_partitions: int
    ) -> dict[TopicPartition, Progress]:
        """What the records of a partition of outputs say. num_partitions: of its topic."""
        found: dict[TopicPartition, Progress] = {}
        for record in records:
            said = read_progress(record.headers)
            if said is None or said.group != self._settings.group:
                continue
            # Before the topic of outputs grew, those of this partition went elsewhere.
            is_here = said.tp.partition % num_partitions == place.partition
            if is_here and said.topic_id and topic_ids.get(said.tp.topic) == said.topic_id:
                found[said.tp] = max(said.progress, found.get(said.tp, said.progress))
        return found


class Proven(NamedTuple):
    """The offset to go on at, what the group tells, and what the last output says: None where there is none."""

    offset: GroupOffset | None
    told: GroupOffset | None
    published: Progress | None


class ProvenOffsets:
    """The offsets of a group, in one take-over. published: see Published.progress; read before the offsets are."""

    def __init__(  # noqa: PLR0913, PLR0917 - what is asked, and what it is held against
        self,
        settings: Settings,
        group: Group,
        log: Log,
        metrics: Metrics,
        published: Mapping[TopicPartition, Progress],
        topic_ids: Mapping[str, str],
    ) -> None:
        self._group = group
        self._log = log
        self._metrics = metrics
        self._published = published
        self._proofs = {tp: GroupOffset(one.offset, topic_ids[tp.topic]) for tp, one in published.items()}
        self._timeout_s = settings.transaction_timeout_s
        self._waiting_since_s: float | None = None
        self._is_over = False

    async def read(self, tps: Collection[TopicPartition]) -> tuple[dict[TopicPartition, Proven], Set[TopicPartition]]:
        """As Group.offsets, once the coordinator has loaded what is published; after a time, as that proves it."""
        while True:
            told = await self._group.offsets({*tps, *self._proofs})
            behind = {tp for tp, offset in told.offsets.items() if self._is_behind(tp, offset)}
            if not behind or self._has_waited(behind, told):
                break
            await asyncio.sleep(_LOADING_RETRY_S)
            await self._drop_those_of_deleted_topics()
        for _ in behind.intersection(tps):
            self._metrics.position_kept()
        found = {
            tp: Proven(self._proofs[tp] if tp in behind else offset, offset, self._published.get(tp))
            for tp, offset in told.offsets.items()
            if tp in tps
        }
        return found, told.unstable.intersection(tps)

    async def _drop_those_of_deleted_topics(self) -> None:
        """With a topic go its offsets: what was published of it proves nothing of another one of its name."""
        ids = await self._log.topic_ids({tp.topic for tp in self._proofs})
        self._proofs = {tp: proof for tp, proof in self._proofs.items() if ids.get(tp.topic) == proof.metadata}

    def _is_behind(self, tp: TopicPartition, offset: GroupOffset | None) -> bool:
        proof = self._proofs.get(tp)
        if proof is None:
            return False
        return offset is None or (offset.metadata == proof.metadata and offset.offset < proof.offset)

    def _has_waited(self, behind: Collection[TopicPartition], told: GroupOffsets) -> bool:
        """Whether to go on with what is proven."""
        now_s = asyncio.get_running_loop().time()
        if self._waiting_since_s is None:
            self._waiting_since_s = now_s
            self._warn(behind, told, "waiting for its coordinator to load them")
        if now_s - self._waiting_since_s <= self._timeout_s:
            return False
        if not self._is_over:
            self._is_over = True
            self._warn(behind, told, "going on where that ends")
        return True

    def _warn(self, behind: Collection[TopicPartition], told: GroupOffsets, what_follows: str) -> None:
        shown = min(behind)
        offset = told.offsets[shown]
        logger.warning(
            "the group's offsets of %d partitions are behind what is published: of %s-%d %s instead of %d; %s",
            len(behind),
            *shown,
            "none" if offset is None else offset.offset,
            self._proofs[shown].offset,
            what_follows,
            extra={"action": "offsets_behind"},
        )
