"""`sentiment check`: checks each dependency of the worker in turn, each within a time limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import NamedTuple

from model import ModelConfig, ModelError
from worker.errors import EXIT_FAILED, EXIT_OK, SentimentError
from worker.kafka.brokers import Brokers
from worker.kafka.topics import check_topics
from worker.network import load_engine
from worker.settings import Settings
from worker.state.store import StateStore


class Finding(NamedTuple):
    """The result of one check: its name, a description for people, and the exit code that it calls for."""

    name: str
    detail: str
    exit_code: int


def check_all(settings: Settings) -> Iterator[Finding]:
    """Yield one finding for each dependency, as soon as it is known."""
    kafka = _find("kafka", _check_kafka, settings)
    yield kafka
    if kafka.exit_code == EXIT_OK:
        yield _find("topics", _check_topics, settings)
    else:
        yield Finding("topics", "not checked: they cannot be listed without Kafka", kafka.exit_code)
    yield _find("redis", _check_redis, settings)
    yield _find("checkpoint", _check_checkpoint, settings)


def _find(name: str, check: Callable[[Settings], str], settings: Settings) -> Finding:
    try:
        return Finding(name, check(settings), EXIT_OK)
    except SentimentError as error:
        return Finding(name, str(error), error.exit_code)
    except ModelError as error:
        return Finding(name, str(error), EXIT_FAILED)


def _check_kafka(settings: Settings) -> str:
    async def ask() -> int:
        async with Brokers(settings) as brokers:
            return len(await brokers.topics())

    return f"{settings.kafka} answers, {asyncio.run(ask())} topics"


def _check_topics(settings: Settings) -> str:
    check_topics(settings)
    outputs = (settings.events_topic, settings.shifts_topic, settings.deadletters_topic)
    return f"{', '.join(settings.topics)} -> {', '.join(outputs)}"


def _check_redis(settings: Settings) -> str:
    async def ask() -> None:
        # check() reads no state, so the model configuration does not matter.
        store = StateStore(settings, ModelConfig(num_words=1), "")
        try:
            await store.check()
        finally:
            await store.close()

    asyncio.run(ask())
    return f"{settings.redis_address} answers, and its maxmemory-policy is noeviction"


def _check_checkpoint(settings: Settings) -> str:
    engine = load_engine(settings)
    return f"{engine.name}, fingerprint {engine.fingerprint}"
