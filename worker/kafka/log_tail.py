"""The last records of partitions, as a `read_committed` reader sees them, asked of the leaders."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.errors import KafkaError, UnsupportedCodecError
from aiokafka.protocol.fetch import FetchRequest

from worker.errors import UnreadableBatchError
from worker.kafka.access.causes import kafka_away
from worker.kafka.brokers import Brokers, Response, ask_if_there
from worker.kafka.log import Log
from worker.kafka.protocol.batches import unpacking_batch
from worker.kafka.protocol.codes import LEADER_MOVES, ErrorCode, refusal
from worker.kafka.protocol.parsing import TolerantRecords
from worker.records.types import TopicPartition
from worker.settings import Settings

logger = logging.getLogger(__name__)

_MAX_PARTITION_BYTES = 1 << 20
_MAX_BYTES = 16 << 20
_AT_ONCE = 0
_RETRY_S = 0.02
_ABORTED_FIELD = {11: 5}  # by version of the answer; in the earlier ones it is the last but one
_LAST_BUT_ONE = -2
_NO_MORE = 1 << 62


class _Piece(NamedTuple):
    """What one answer brings of a partition, and where to read on."""

    records: list[Any]
    next_offset: int


class Tail(NamedTuple):
    """The last records of a log. is_whole: whether the log has no earlier ones."""

    records: list[Any]
    is_whole: bool


class LogTail:
    """Reads what stands at the end of logs."""

    def __init__(self, settings: Settings, brokers: Brokers) -> None:
        self._settings = settings
        self._brokers = brokers
        self._log = Log(settings, brokers)

    async def read(self, tps: Collection[TopicPartition], num_offsets: int) -> dict[TopicPartition, Tail]:
        """The committed records among the last `num_offsets` offsets of each log.

        Markers and records of aborted transactions have offsets, too, so that there may be none. The records are
        aiokafka's ConsumerRecord. Raises DependencyError where they are not read within the request
        timeout, RefusedError. Of a partition with a batch that cannot be unpacked, only what other
        answers brought is there, and a warning says so.
        """
        starts, ends = await asyncio.gather(self._log.starts(tps), self._log.stable_ends(tps))
        positions = {tp: max(starts[tp], ends[tp] - num_offsets) for tp in tps if starts[tp] < ends[tp]}
        found = {tp: Tail([], positions.get(tp, starts[tp]) == starts[tp]) for tp in tps}
        try:
            async with asyncio.timeout(self._settings.request_timeout_s):
                while positions:
                    pieces = await self._fetch(positions)
                    for tp, piece in pieces.items():
                        found[tp].records.extend(piece.records)
                        if piece.next_offset >= ends[tp]:
                            del positions[tp]
                        else:
                            positions[tp] = piece.next_offset
        except (KafkaError, TimeoutError) as error:
            raise kafka_away(self._settings, error) from error
        return found

    async def _fetch(self, positions: Mapping[TopicPartition, int]) -> dict[TopicPartition, _Piece]:
        """One answer of each leader; without any, after a moment."""
        leaders = await self._brokers.leaders(list(positions))
        asked = ({tp: positions[tp] for tp in led} for led in leaders.values())
        answers = await asyncio.gather(*map(self._ask, leaders, asked))
        found = {tp: piece for answer in answers for tp, piece in answer.items()}
        if all(piece.next_offset == positions[tp] for tp, piece in found.items()):
            await self._brokers.refresh({tp.topic for tp in positions})
            await asyncio.sleep(_RETRY_S)
        return found

    async def _ask(self, node_id: int, positions: Mapping[TopicPartition, int]) -> dict[TopicPartition, _Piece]:
        by_topic: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
        for (topic, number), offset in positions.items():
            by_topic[topic].append((number, offset, _MAX_PARTITION_BYTES))
        request = FetchRequest(_AT_ONCE, 0, _MAX_BYTES, READ_COMMITTED, list(by_topic.items()))
        response = await ask_if_there(self._brokers, node_id, request)
        if response is None:
            return {}
        return dict(_pieces(response, positions))


def _pieces(response: Response, positions: Mapping[TopicPartition, int]) -> Iterator[tuple[TopicPartition, _Piece]]:
    """Partitions whose leader moves are left out; of one whose log was cut meanwhile, nothing more is to be had."""
    for topic, partitions in response.topics:
        for partition in partitions:
            number, code, *_ = partition
            tp = TopicPartition(topic, number)
            if code == ErrorCode.OFFSET_OUT_OF_RANGE:
                yield tp, _Piece([], _NO_MORE)
            elif code == ErrorCode.NONE:
                aborted = partition[_ABORTED_FIELD.get(response.API_VERSION, _LAST_BUT_ONE)]
                yield tp, _unpack(tp, partition[-1], aborted, positions[tp])
            elif code not in LEADER_MOVES:
                raise refusal(f"Fetch of {topic}-{number}", code)


def _unpack(tp: TopicPartition, data: bytes, aborted: Any, offset: int) -> _Piece:
    """Whoever writes to the topic must not stop those who look at its end: what cannot be unpacked is passed over."""
    unpacked = PartitionRecords(tp, TolerantRecords(data), aborted, offset, None, None, True, READ_COMMITTED)
    try:
        with unpacking_batch(f"{tp.topic}-{tp.partition} from offset {offset} on", "its codec"):
            return _Piece(list(unpacked), unpacked.next_fetch_offset)
    except (UnreadableBatchError, UnsupportedCodecError) as error:
        logger.warning("%s", error, extra={"action": "tail_unreadable", "topic": tp.topic, "partition": tp.partition})
        return _Piece([], _NO_MORE)
