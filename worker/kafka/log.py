"""What a log holds: its first and last offsets, and which topic it is of.

The consumer's answers for its own assignment may come from a cache; these do not.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import NamedTuple

from aiokafka.errors import KafkaError
from aiokafka.protocol.offset import OffsetRequest

from worker.kafka.access.causes import kafka_away
from worker.kafka.brokers import Brokers, UnsupportedRequestError, ask_if_there
from worker.kafka.protocol.codes import LEADER_MOVES, ErrorCode, refusal
from worker.kafka.protocol.topics import NO_TOPIC_ID, TopicIdsRequest
from worker.records.types import TopicPartition
from worker.settings import Settings

_ANY_REPLICA = -1
_READ_UNCOMMITTED, _READ_COMMITTED = 0, 1
_EARLIEST, _LATEST = -2, -1
_NONE = -1
_RETRY_S = 0.02


class LogBounds(NamedTuple):
    """What the log of a partition holds.

    start: the first offset that is left. end: the offset after its last record. lookback: the first offset of a record
    young enough to rebuild states from; None where there is none. topic_id: see Log.topic_ids.
    """

    start: int
    end: int
    lookback: int | None
    topic_id: str = ""


class Log:
    """Asks the leaders of partitions about their logs.

    Every question raises DependencyError where it is not answered within the request timeout.
    """

    def __init__(self, settings: Settings, brokers: Brokers) -> None:
        self._settings = settings
        self._brokers = brokers

    async def bounds(self, tps: Collection[TopicPartition]) -> dict[TopicPartition, LogBounds]:
        """The bounds of each log; partitions of topics that do not exist are left out."""
        ids = await self.topic_ids({tp.topic for tp in tps})
        there = [tp for tp in tps if tp.topic in ids]
        starts, ends, lookbacks = await asyncio.gather(self.starts(there), self.ends(there), self._lookbacks(there))
        return {tp: LogBounds(starts[tp], ends[tp], lookbacks[tp], ids[tp.topic]) for tp in there}

    async def starts(self, tps: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The first offset that each log still holds."""
        return await self._offsets(tps, _EARLIEST)

    async def ends(self, tps: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset after the last record of each log, whether its transaction is over or not."""
        return await self._offsets(tps, _LATEST)

    async def stable_ends(self, tps: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Where a `read_committed` reader of each log stops: at its end, or before its first open transaction."""
        return await self._offsets(tps, _LATEST, _READ_COMMITTED)

    async def _lookbacks(self, tps: Collection[TopicPartition]) -> dict[TopicPartition, int | None]:
        time_ms = int((time.time() - self._settings.rebuild_lookback_s) * 1000)
        found = await self._offsets(tps, time_ms)
        return {tp: None if offset == _NONE else offset for tp, offset in found.items()}

    async def topic_ids(self, names: Collection[str]) -> dict[str, str]:
        """The id of each topic that exists, as cluster/topic; '' where the brokers are too old for ids."""
        try:
            async with asyncio.timeout(self._settings.request_timeout_s):
                response = await self._brokers.ask_any(TopicIdsRequest(sorted(names)))
        except UnsupportedRequestError:
            return dict.fromkeys(await self.partition_counts(names), "")
        except (KafkaError, TimeoutError) as error:
            raise kafka_away(self._settings, error) from error
        return {
            name: "" if topic_id == NO_TOPIC_ID else f"{response.cluster_id}/{topic_id.hex()}"
            for code, name, topic_id, *_ in response.topics
            if code == ErrorCode.NONE
        }

    async def partition_counts(self, names: Collection[str]) -> dict[str, int]:
        """The number of partitions of each topic that exists."""
        try:
            async with asyncio.timeout(self._settings.request_timeout_s):
                # What is known may be from before partitions were added.
                await self._brokers.refresh(names)
                counts = {name: await self._brokers.num_partitions(name) for name in names}
        except (KafkaError, TimeoutError) as error:
            raise kafka_away(self._settings, error) from error
        return {name: count for name, count in counts.items() if count}

    async def _offsets(
        self, tps: Collection[TopicPartition], time_ms: int, isolation: int = _READ_UNCOMMITTED
    ) -> dict[TopicPartition, int]:
        """The offset at `time_ms` of each log. A leader that moves, or is not ready, does not pass for an answer."""
        found: dict[TopicPartition, int] = {}
        try:
            async with asyncio.timeout(self._settings.request_timeout_s):
                while left := [tp for tp in tps if tp not in found]:
                    leaders = await self._brokers.leaders(left)
                    asked = (self._ask(node_id, led, time_ms, isolation) for node_id, led in leaders.items())
                    answers = await asyncio.gather(*asked)
                    for answer in answers:
                        found.update(answer)
                    if len(found) < len(tps):
                        await self._brokers.refresh({tp.topic for tp in left})
                        await asyncio.sleep(_RETRY_S)
        except (KafkaError, TimeoutError) as error:
            raise kafka_away(self._settings, error) from error
        return found

    async def _ask(
        self, node_id: int, tps: Collection[TopicPartition], time_ms: int, isolation: int
    ) -> Mapping[TopicPartition, int]:
        """The answers of one broker, as far as it has them."""
        by_topic: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for topic, number in tps:
            by_topic[topic].append((number, time_ms))
        request = OffsetRequest(_ANY_REPLICA, isolation, list(by_topic.items()))
        response = await ask_if_there(self._brokers, node_id, request)
        if response is None:
            return {}
        found = {}
        for topic, partitions in response.topics:
            for number, code, _, offset in partitions:
                if code == ErrorCode.NONE:
                    found[TopicPartition(topic, number)] = offset
                elif code not in LEADER_MOVES:
                    raise refusal(f"ListOffsets of {topic}-{number}", code)
        return found
