"""`sentiment check`: checks each dependency of the worker in turn, each within a time limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, NamedTuple

from aiokafka.errors import KafkaError

from model import ModelError
from worker.errors import EXIT_FAILED, EXIT_OK, SentimentError
from worker.kafka.access.probe import kafka_trouble
from worker.kafka.brokers import Brokers
from worker.kafka.topics import broker_version, check_topics
from worker.network import load_engine
from worker.records.registry import Registry
from worker.settings import Settings
from worker.state.rehearsal import check_redis
from worker.tools.cluster_checks import check_cluster, describe_inputs, describe_outputs


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
    if settings.registry is not None:
        yield _find("registry", check_registry, settings)
    yield _find("checkpoint", _check_checkpoint, settings)


def _find(name: str, check: Callable[[Settings], str], settings: Settings) -> Finding:
    try:
        return Finding(name, check(settings), EXIT_OK)
    except SentimentError as error:
        return Finding(name, str(error), error.exit_code)
    except ModelError as error:
        return Finding(name, str(error), EXIT_FAILED)


def _check_kafka(settings: Settings) -> str:
    async def ask() -> str:
        async with Brokers(settings) as brokers:
            num_topics = len(await brokers.topics())
            return f"{num_topics} topics; {await check_cluster(settings, brokers)}"

    version = broker_version(settings)
    return f"{settings.kafka} answers, version {version}, {_run(settings, ask())}"


def _check_topics(settings: Settings) -> str:
    async def describe() -> str:
        async with Brokers(settings) as brokers:
            return f"{await describe_inputs(settings, brokers)} -> {await describe_outputs(settings, brokers)}"

    check_topics(settings)
    return _run(settings, describe())


def check_registry(settings: Settings) -> str:
    """What the schema registry answers. Raises DependencyError."""
    kinds = ", ".join(sorted(Registry(settings).kinds()))
    return f"{settings.registry} answers and takes {kinds}; the worker registers its schemas when it starts"


def _run(settings: Settings, question: Coroutine[Any, Any, str]) -> str:
    """The answer of `question`, within three times the request timeout. Raises DependencyError for Kafka's errors."""

    async def ask() -> str:
        try:
            async with asyncio.timeout(3 * settings.request_timeout_s):
                return await question
        except (KafkaError, OSError, TimeoutError) as error:
            raise await kafka_trouble(settings, error) from error

    return asyncio.run(ask())


def _check_redis(settings: Settings) -> str:
    return f"{settings.redis_address} {asyncio.run(check_redis(settings))}"


def _check_checkpoint(settings: Settings) -> str:
    engine = load_engine(settings)
    languages = ", ".join(engine.understanding.languages)
    return f"{engine.name}, fingerprint {engine.fingerprint}, reads {languages}"
