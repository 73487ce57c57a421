"""The rights that each command needs, and which of them a user lacks, found out before anything is done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

from aiokafka.errors import KafkaError

from worker.errors import DependencyError, RefusedError
from worker.kafka.access.causes import RIGHTS_ADVICE
from worker.kafka.access.probe import kafka_trouble
from worker.kafka.brokers import Brokers, UnsupportedRequestError
from worker.kafka.group import Group
from worker.kafka.protocol.codes import ErrorCode
from worker.kafka.protocol.offsets import Membership
from worker.kafka.protocol.topics import TopicIdsRequest
from worker.settings import Settings

_NOBODY = Membership(0, "preflight", None)
# Bits of the operations in Kafka's answers.
_READ, _WRITE, _DESCRIBE = 1 << 3, 1 << 4, 1 << 8
_NOT_TOLD = -(1 << 31)


class Rights(NamedTuple):
    """What a command does: topics that it reads, writes or looks at, and a group whose offsets it reads or commits.

    transactional_id: what it writes transactions with; ids that begin so, where it ends in a colon. Who may Read or
    Write may Describe, too.
    """

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    describes: tuple[str, ...] = ()
    group: str = ""
    commits: bool = False
    transactional_id: str = ""


def rights_of_worker(settings: Settings) -> Rights:
    """Those of `worker`, and of `check`, which does what the worker will do."""
    is_exact = settings.delivery == "exactly_once"
    return Rights(
        reads=settings.topics + (settings.outcome_topics if is_exact else ()),
        writes=settings.written_topics,
        group=settings.group,
        commits=True,
        transactional_id=f"{settings.group}:" if is_exact else "",
    )


def rights_of_follower(settings: Settings) -> Rights:
    """What a shadow needs of the group that it follows, whose settings these are; beside those of a worker."""
    return Rights(reads=(settings.events_topic, settings.shadow_topic), group=settings.group)


async def check_rights(settings: Settings, brokers: Brokers, rights: Rights) -> None:
    """Raises DependencyError, which names every right that is missing.

    A topic that does not exist is no missing right. Brokers before 3.1 tell none about topics.
    """
    try:
        async with asyncio.timeout(settings.request_timeout_s):
            missing = [right async for right in _missing(settings, brokers, rights)]
    except (KafkaError, TimeoutError) as error:
        raise await kafka_trouble(settings, error) from error
    if missing:
        problem = f"this user lacks the rights to {'; to '.join(missing)}"
        raise DependencyError("Kafka", settings.kafka, problem, RIGHTS_ADVICE)


async def require_rights(settings: Settings, rights: Rights) -> None:
    """The same, over connections of its own."""
    async with Brokers(settings) as brokers:
        await check_rights(settings, brokers, rights)


async def _missing(settings: Settings, brokers: Brokers, rights: Rights) -> AsyncIterator[str]:
    if rights.group:
        group = Group(settings, brokers, rights.group)
        try:
            await group.offsets([])
            if rights.commits:
                await group.is_member(_NOBODY)
        except RefusedError:
            yield f"{'Read and Describe' if rights.commits else 'Describe'} group {rights.group}"
    if rights.transactional_id:
        is_prefix = rights.transactional_id.endswith(":")
        try:
            await Group(settings, brokers, rights.group).end_transaction(
                rights.transactional_id + ("preflight" if is_prefix else "")
            )
        except RefusedError:
            which = "transactional ids with the prefix" if is_prefix else "transactional id"
            yield f"Write and Describe {which} {rights.transactional_id}"
    async for right in _missing_of_topics(brokers, rights):
        yield right


async def _missing_of_topics(brokers: Brokers, rights: Rights) -> AsyncIterator[str]:
    wanted: list[tuple[str, int, str]] = [(name, _DESCRIBE, "Describe") for name in rights.describes]
    wanted += [(name, _READ, "Read and Describe") for name in rights.reads]
    wanted += [(name, _WRITE, "Write and Describe") for name in rights.writes]
    if not wanted:
        return
    names = tuple(dict.fromkeys(name for name, *_ in wanted))
    try:
        response = await brokers.ask_any(TopicIdsRequest(names, with_operations=True))
    except UnsupportedRequestError:
        return
    told = {name: (code, operations) for code, name, _, _, _, operations, _ in response.topics}
    for name, bit, operation in wanted:
        code, operations = told[name]
        if code == ErrorCode.TOPIC_AUTHORIZATION_FAILED or (operations != _NOT_TOLD and not operations & bit):
            yield f"{operation} topic {name}"
