"""What is looked at before the worker joins its group: does Kafka know its requests, and may this user send them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiokafka.errors import KafkaError

from worker.errors import DependencyError, RefusedError
from worker.kafka.brokers import Brokers, UnsupportedRequestError
from worker.kafka.clients import kafka_away
from worker.kafka.group import Group
from worker.kafka.protocol.codes import ErrorCode
from worker.kafka.protocol.offsets import Membership
from worker.kafka.protocol.topics import TopicIdsRequest
from worker.settings import Settings

_NOBODY = Membership(0, "preflight", None)
# Bits of the operations in Kafka's answers.
_READ, _WRITE = 1 << 3, 1 << 4
_NOT_TOLD = -(1 << 31)


async def check_kafka(settings: Settings, brokers: Brokers) -> None:
    """Raises DependencyError when a broker is too old, or names every right that is missing."""
    try:
        async with asyncio.timeout(settings.request_timeout_s):
            missing = [right async for right in _missing_rights(settings, brokers)]
    except UnsupportedRequestError as error:
        raise DependencyError(
            "Kafka",
            settings.kafka,
            "it is older than 2.5, and does not fence the offsets of a transaction by the group's generation",
            "Upgrade the brokers, or run an earlier version of this worker",
        ) from error
    except (KafkaError, TimeoutError) as error:
        raise kafka_away(settings, error) from error
    if missing:
        problem = f"this user lacks the rights to {'; to '.join(missing)}"
        raise DependencyError("Kafka", settings.kafka, problem, "`kafka-acls.sh --add --allow-principal` grants them")


async def _missing_rights(settings: Settings, brokers: Brokers) -> AsyncIterator[str]:
    group = Group(settings, brokers, settings.group)
    try:
        await group.offsets([])
        await group.is_member(_NOBODY)
    except RefusedError:
        yield f"Read and Describe group {settings.group}"
    if settings.delivery == "exactly_once":
        try:
            await group.end_transaction(f"{settings.group}:preflight")
        except RefusedError:
            yield f"Write and Describe transactional ids with the prefix {settings.group}:"
    outputs = (settings.events_topic, settings.shifts_topic, settings.deadletters_topic)
    try:
        response = await brokers.ask_any(TopicIdsRequest(settings.topics + outputs, with_operations=True))
    except UnsupportedRequestError:
        return  # brokers before 3.1 tell no topic ids and, in this request, no rights
    for code, name, _, _, _, operations, _ in response.topics:
        bit, operation = (_WRITE, "Write") if name in outputs else (_READ, "Read")
        if code == ErrorCode.TOPIC_AUTHORIZATION_FAILED or (operations != _NOT_TOLD and not operations & bit):
            yield f"{operation} and Describe topic {name}"
