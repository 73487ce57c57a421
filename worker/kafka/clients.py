"""Connections to Kafka: what every client is given, and the offsets of the group and of the log."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import faust
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError
from aiokafka.structs import OffsetAndMetadata

from worker.errors import DependencyError
from worker.records.types import TopicPartition
from worker.retries import retry
from worker.settings import Settings

Answer = TypeVar("Answer")

RETRY_S = 0.1


def client_options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments that every aiokafka client of this process is made with."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka,
        "request_timeout_ms": int(settings.request_timeout_s * 1000),
        "security_protocol": settings.kafka_security,
    }
    if settings.kafka_security.endswith("SSL"):
        options["ssl_context"] = _ssl_context(settings)
    if settings.kafka_security.startswith("SASL") and settings.kafka_password:
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
        options["sasl_plain_username"] = settings.kafka_username
        options["sasl_plain_password"] = settings.kafka_password.get_secret_value()
    return options


def faust_credentials(settings: Settings) -> Any:
    """The same, in the form in which Faust takes it; None for a plain connection."""
    if settings.kafka_security.startswith("SASL") and settings.kafka_password:
        return faust.SASLCredentials(
            mechanism=settings.kafka_sasl_mechanism,
            username=settings.kafka_username,
            password=settings.kafka_password.get_secret_value(),
            ssl_context=_ssl_context(settings) if settings.kafka_security == "SASL_SSL" else None,
        )
    return faust.SSLCredentials(context=_ssl_context(settings)) if settings.kafka_security == "SSL" else None


def _ssl_context(settings: Settings) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=settings.kafka_ca_file)


def kafka_away(settings: Settings, error: BaseException) -> DependencyError:
    """The error that says that Kafka is away, and what to do."""
    advice = "Start it (`sentiment stack` runs a local one), or name another with --kafka (SENTIMENT_KAFKA)"
    # Errors of aiokafka and kafka-python begin with their name; others may have no text at all.
    return DependencyError("Kafka", settings.kafka, f"does not answer ({str(error) or type(error).__name__})", advice)


def is_passing_error(error: Exception) -> bool:
    """Whether Kafka may answer the same request well in a moment."""
    return isinstance(error, KafkaError) and bool(error.retriable)


async def group_offsets(
    admin: Any, group: str, tps: Collection[TopicPartition]
) -> dict[TopicPartition, OffsetAndMetadata]:
    """The offsets and metadata that `group` has committed; a negative offset where it has none. Raises KafkaError."""
    found = await admin.list_consumer_group_offsets(group, partitions=[KafkaTopicPartition(*tp) for tp in tps])
    if not found.keys() >= set(tps):
        # aiokafka overlooks the error of a coordinator that still loads the group, or has lost it to another broker:
        # its answer names no partition, and must not pass for a group without offsets.
        raise GroupCoordinatorNotAvailableError(f"the coordinator did not answer for the offsets of group {group}")
    return {tp: found[tp] for tp in tps}


class Log:
    """Reads offsets with clients of its own: the consumer's answers for its assignment may come from a cache.

    Every question raises DependencyError where it is not answered within the request timeout.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin: Any = None
        self._reader: Any = None

    async def __aenter__(self) -> Self:
        options = client_options(self._settings)
        self._admin = AIOKafkaAdminClient(**options)
        self._reader = AIOKafkaConsumer(**options, enable_auto_commit=False)
        try:
            await asyncio.wait_for(self._admin.start(), self._settings.request_timeout_s)
            await asyncio.wait_for(self._reader.start(), self._settings.request_timeout_s)
        except (KafkaError, OSError, TimeoutError) as error:
            await self.__aexit__(None, None, None)
            raise kafka_away(self._settings, error) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for close in (self._reader.stop, self._admin.close):
            # What is left of a connection after the bound ends with the process.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(close(), self._settings.request_timeout_s)

    async def _ask(self, question: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer. A broker that has just come up, or a coordinator that has just moved, is asked again."""
        bound_s = self._settings.request_timeout_s
        try:
            return await retry(
                lambda: asyncio.wait_for(question(), bound_s),
                is_passing=is_passing_error,
                wait_s=RETRY_S,
                timeout_s=bound_s,
            )
        except (KafkaError, TimeoutError) as error:
            raise kafka_away(self._settings, error) from error

    async def partition_counts(self) -> Mapping[str, int]:
        """Partitions of every topic that the cluster has."""
        topics = await self._ask(self._admin.describe_topics)
        return {topic["topic"]: len(topic["partitions"]) for topic in topics}

    async def committed(self, tps: Collection[TopicPartition]) -> dict[TopicPartition, int | None]:
        """The group's offsets, C; None where it has none."""
        found = await self._ask(lambda: group_offsets(self._admin, self._settings.group, tps))
        return {tp: entry.offset if entry.offset >= 0 else None for tp, entry in found.items()}

    async def starts(self, tps: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The first offset that the log still holds."""
        wanted = [KafkaTopicPartition(*tp) for tp in tps]
        found = await self._ask(lambda: self._reader.beginning_offsets(wanted))
        return {tp: found[tp] for tp in tps}

    async def ends(self, tps: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset after the last record."""
        wanted = [KafkaTopicPartition(*tp) for tp in tps]
        found = await self._ask(lambda: self._reader.end_offsets(wanted))
        return {tp: found[tp] for tp in tps}

    async def since(self, tps: Collection[TopicPartition], age_s: float) -> dict[TopicPartition, int | None]:
        """The first offset whose record is at most `age_s` old by its timestamp; None where there is none."""
        time_ms = int((time.time() - age_s) * 1000)
        times = dict.fromkeys((KafkaTopicPartition(*tp) for tp in tps), time_ms)
        found = await self._ask(lambda: self._reader.offsets_for_times(times))
        return {tp: found[tp].offset if found.get(tp) is not None else None for tp in tps}
