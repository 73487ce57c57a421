"""The topics that the worker needs: creates missing ones, and reports unsuitable ones.

The events topic needs at least as many partitions as the largest input topic. The events of an input partition go to
the partition with the same number (modulo the count), so with fewer, several input partitions would share one. Shifts
and dead letters are few, so their topics may have any number of partitions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kafka import KafkaAdminClient
from kafka.errors import KafkaError, NoError, TopicAlreadyExistsError, TopicAuthorizationFailedError, for_code

from worker.errors import DependencyError, TopicsError
from worker.kafka.access.causes import RIGHTS_ADVICE
from worker.kafka.access.probe import kafka_trouble
from worker.kafka.clients import kafka_python_options
from worker.settings import Settings

HOUR_MS = 3_600_000
# A consumer group's offsets record what was redriven, and a broker deletes them 7 days after the last commit
# (`offsets.retention.minutes`), so dead letters must be gone before that. Only whole segments are deleted, hence the
# `segment.ms`. A dead letter is a record plus our headers, so it may exceed a broker's default limit of 1 MiB.
DEADLETTER_CONFIGS = {
    "retention.ms": str(6 * 24 * HOUR_MS),
    "segment.ms": str(12 * HOUR_MS),
    "max.message.bytes": str((1 << 20) + (64 << 10)),
}


def ensure_topics(settings: Settings) -> list[str]:
    """Create the missing topics and return their names; existing topics are not changed.

    Input topics get `settings.partitions` partitions, output topics as many as the largest input topic. Raises
    TopicsError when the broker refuses, DependencyError when it does not answer.
    """
    inputs, outputs = settings.topics, settings.written_topics
    with _admin(settings) as admin:
        counts = _partition_counts(admin, settings, inputs + outputs)
        most = max(counts.get(name, settings.partitions) for name in inputs)
        missing = {name: settings.partitions for name in inputs if name not in counts}
        missing |= {name: most for name in outputs if name not in counts}
        if missing:
            _create(admin, settings, missing)
    return list(missing)


def check_topics(settings: Settings) -> None:
    """Raises TopicsError, naming every missing or unsuitable topic, and DependencyError when Kafka does not answer."""
    with _admin(settings) as admin:
        counts = _partition_counts(admin, settings, settings.topics + settings.written_topics)
    problems = find_problems(settings, counts)
    if problems:
        raise TopicsError("\n".join(problems))


def broker_version(settings: Settings) -> str:
    """The version of Kafka that the brokers' requests are known from, such as 4.1: at least that."""
    with _admin(settings) as admin:
        return ".".join(map(str, admin._manager.broker_version))


def find_problems(settings: Settings, counts: Mapping[str, int]) -> list[str]:
    """The problems of topics with these partition counts, each with its remedy."""
    missing = [name for name in settings.topics + settings.written_topics if name not in counts]
    problems = []
    if missing:
        problems.append(f"missing topics: {', '.join(missing)}; `sentiment topics` creates them")
    most, largest = max(((counts.get(name, 0), name) for name in settings.topics), key=lambda pair: pair[0])
    num_events = counts.get(settings.events_topic, most)
    if num_events < most:
        problems.append(
            f"{settings.events_topic} has {num_events} partitions, the input {largest} has {most}: events need as "
            f"many; `kafka-topics.sh --alter --topic {settings.events_topic} --partitions {most}` adds them"
        )
    return problems


@contextmanager
def _admin(settings: Settings) -> Iterator[Any]:
    timeout_ms = int(settings.request_timeout_s * 1000)
    try:
        with KafkaAdminClient(**kafka_python_options(settings), bootstrap_timeout_ms=timeout_ms) as admin:
            yield admin
    except (KafkaError, OSError) as error:
        raise asyncio.run(kafka_trouble(settings, error)) from error


def _partition_counts(admin: Any, settings: Settings, names: tuple[str, ...]) -> dict[str, int]:
    """The number of partitions of each topic that exists."""
    found = admin.describe_topics(list(names))
    hidden = [topic["name"] for topic in found if topic["error_code"] == TopicAuthorizationFailedError.errno]
    if hidden:
        problem = f"this user lacks the right to Describe topic {', '.join(hidden)}"
        raise DependencyError("Kafka", settings.kafka, problem, RIGHTS_ADVICE)
    return {topic["name"]: len(topic["partitions"]) for topic in found if topic["error_code"] == NoError.errno}


def _create(admin: Any, settings: Settings, partitions: dict[str, int]) -> None:
    wanted = {
        name: {
            "num_partitions": count,
            "replication_factor": settings.replication,
            "configs": DEADLETTER_CONFIGS if name == settings.deadletters_topic else {},
        }
        for name, count in partitions.items()
    }
    answer = admin.create_topics(wanted, raise_errors=False)
    # Someone else may have created one of them in the meantime; `check_topics` checks whether it is suitable.
    accepted = {NoError.errno, TopicAlreadyExistsError.errno}
    refused = [topic for topic in answer["topics"] if topic["error_code"] not in accepted]
    denied = [topic["name"] for topic in refused if topic["error_code"] == TopicAuthorizationFailedError.errno]
    if denied:
        problem = f"this user lacks the right to Create topic {', '.join(denied)}"
        raise DependencyError("Kafka", settings.kafka, problem, RIGHTS_ADVICE)
    if refused:
        reasons = (f"{topic['name']}: {topic['error_message'] or for_code(topic['error_code'])}" for topic in refused)
        raise TopicsError(f"Kafka at {settings.kafka} refuses to create topics:\n" + "\n".join(reasons))
    admin.wait_for_topics(list(partitions), timeout_ms=int(settings.request_timeout_s * 1000))
