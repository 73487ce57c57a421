"""What is asked of Kafka: again while a broker starts up, within a bound, and never misunderstood."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
    NotCoordinatorForGroupError,
)
from aiokafka.structs import OffsetAndMetadata

from worker.errors import DependencyError
from worker.kafka.clients import Log
from worker.records.types import TopicPartition
from worker.settings import load_settings

FIRST, SECOND = TopicPartition("tweets", 0), TopicPartition("tweets", 1)
TOLD = {TopicPartition(*FIRST): OffsetAndMetadata(7, ""), TopicPartition(*SECOND): OffsetAndMetadata(-1, "")}
BOUND_S = 60
NEVER_S = 3600


class Coordinator:
    """An admin client whose answers come from a list, the last of them for good: offsets, or an error to raise."""

    def __init__(self, *answers: dict[TopicPartition, OffsetAndMetadata] | KafkaError) -> None:
        self.answers = list(answers)

    async def list_consumer_group_offsets(self, *_: Any, **__: Any) -> dict[TopicPartition, OffsetAndMetadata]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, KafkaError):
            raise answer
        return answer


class Silent:
    """A client that is never answered."""

    def __getattr__(self, name: str) -> Callable[..., Awaitable[None]]:
        async def wait(*_: Any, **__: Any) -> None:
            await asyncio.sleep(NEVER_S)

        return wait


def ask(client: Any, question: Callable[[Log], Awaitable[Any]], request_timeout_s: float = BOUND_S / 2) -> Any:
    log = Log(load_settings(request_timeout_s=request_timeout_s))
    log._admin = log._reader = client
    return asyncio.run(asyncio.wait_for(question(log), BOUND_S))


def committed(log: Log) -> Awaitable[dict[TopicPartition, int | None]]:
    return log.committed([FIRST, SECOND])


@pytest.mark.parametrize(
    "passing",
    [GroupCoordinatorNotAvailableError(), GroupLoadInProgressError(), NotCoordinatorForGroupError()],
    ids=lambda error: type(error).__name__,
)
def test_a_coordinator_that_is_not_ready_yet_is_asked_again(passing: KafkaError) -> None:
    assert ask(Coordinator(passing, passing, TOLD), committed) == {FIRST: 7, SECOND: None}


def test_an_answer_that_names_no_partition_is_not_taken_for_a_group_without_offsets() -> None:
    half = {TopicPartition(*SECOND): OffsetAndMetadata(3, "")}
    assert ask(Coordinator({}, half, TOLD), committed) == {FIRST: 7, SECOND: None}


@pytest.mark.parametrize("answer", [{}, GroupLoadInProgressError()], ids=["no partition", "loading"])
def test_a_coordinator_that_never_gets_ready_is_given_up_within_the_request_timeout(answer: Any) -> None:
    with pytest.raises(DependencyError, match=r"Kafka at .* does not answer"):
        ask(Coordinator(answer), committed, request_timeout_s=0.3)


def test_what_asking_again_does_not_mend_is_told_at_once() -> None:
    with pytest.raises(DependencyError, match="GroupAuthorizationFailedError"):
        ask(Coordinator(GroupAuthorizationFailedError(), TOLD), committed)


@pytest.mark.parametrize(
    "question",
    [
        committed,
        Log.partition_counts,
        lambda log: log.starts([FIRST]),
        lambda log: log.ends([FIRST]),
        lambda log: log.since([FIRST], 60),
    ],
    ids=["committed", "partition_counts", "starts", "ends", "since"],
)
def test_a_broker_that_is_silent_is_waited_for_no_longer_than_the_request_timeout(
    question: Callable[[Log], Awaitable[Any]],
) -> None:
    with pytest.raises(DependencyError, match=r"Kafka at .* does not answer"):
        ask(Silent(), question, request_timeout_s=0.1)


def test_connections_that_do_not_close_are_left_to_the_end_of_the_process() -> None:
    ask(Silent(), lambda log: log.__aexit__(None, None, None), request_timeout_s=0.1)
