"""A redrive that dies, is overtaken or misses its topics on a real broker loses and duplicates nothing."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.integration.tools.buried import MIXED, NO_TEXTS, bury, delete, listed, redriven, returned, values
from tests.kafka_tools import create_topics
from tests.workplace import Workplace
from worker.errors import DependencyError, SentimentError, TopicsError
from worker.kafka.transaction import TransactionalProducer
from worker.settings import Settings, load_settings
from worker.stack.server import free_port
from worker.tools.deadletters import list_deadletters
from worker.tools.redrive import redrive

SUBPROCESS_TIMEOUT_S = 300


def test_a_source_that_is_gone_is_named_and_its_dead_letters_stay_pending(
    make_workplace: Callable[..., Workplace],
) -> None:
    workplace = make_workplace(request_timeout_s=4.0)
    bury(workplace, NO_TEXTS[:2])
    delete(workplace, workplace.topic)
    with pytest.raises(TopicsError, match=f"{workplace.topic}-0"):
        redriven(workplace)
    create_topics(workplace.settings.kafka, {workplace.topic: 1})
    assert redriven(workplace) == (2, 0)
    assert returned(workplace) == values(NO_TEXTS[:2])


DYING = """
import asyncio, os, sys
from worker.kafka.transaction import TransactionalProducer
from worker.tools.redrive import redrive
from worker.settings import load_settings

name, when = sys.argv[1:]
method = getattr(TransactionalProducer, name)

async def die(*args, **kwargs):
    if when == "after":
        await method(*args, **kwargs)
    os._exit(9)

setattr(TransactionalProducer, name, die)
asyncio.run(redrive(load_settings()))
"""


@pytest.mark.parametrize(
    ("method", "when", "num_left"),
    [
        ("_begin", "after", 7),
        ("_deliver", "after", 7),
        ("_send_offsets", "before", 7),
        ("_send_offsets", "after", 7),
        ("_end", "before", 7),
        ("_end", "after", 0),
    ],
)
def test_a_redrive_that_dies_loses_and_duplicates_nothing(
    workplace: Workplace, method: str, when: str, num_left: int
) -> None:
    bury(workplace, MIXED)
    died = subprocess.run(
        [sys.executable, "-c", DYING, method, when],
        env=workplace.environment(),
        timeout=SUBPROCESS_TIMEOUT_S,
        check=False,
    )
    assert died.returncode == 9
    assert redriven(workplace) == (num_left, 0)
    assert returned(workplace) == values(MIXED)


def test_a_redrive_fails_and_duplicates_nothing_after_another_one_has_taken_over(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    bury(workplace, MIXED)
    end: Callable[..., Awaitable[None]] = TransactionalProducer._end
    overtaking: list[Any] = []

    async def overtaken(producer: TransactionalProducer, *, commit: bool) -> None:
        if not overtaking:
            overtaking.append(None)
            overtaking.append(await redrive(workplace.settings))
        await end(producer, commit=commit)

    monkeypatch.setattr(TransactionalProducer, "_end", overtaken)
    with pytest.raises(SentimentError, match="taken over"):
        redriven(workplace)
    assert overtaking[1] == (len(MIXED), 0)
    assert returned(workplace) == values(MIXED)


def run_both(settings: Settings) -> None:
    with pytest.raises(DependencyError, match=f"Kafka at {settings.kafka}"):
        asyncio.run(redrive(settings))

    async def first() -> None:
        await anext(aiter(list_deadletters(settings)))

    with pytest.raises(DependencyError, match=f"Kafka at {settings.kafka}"):
        asyncio.run(first())


def test_a_kafka_that_does_not_answer_is_named() -> None:
    run_both(load_settings(kafka=f"127.0.0.1:{free_port()}", request_timeout_s=1))


def test_a_missing_topic_is_named_with_what_to_do(workplace: Workplace) -> None:
    delete(workplace, workplace.settings.deadletters_topic)
    for call in (listed, redriven):
        with pytest.raises(TopicsError, match="sentiment topics"):
            call(workplace)
