"""The commands that talk to servers, each in its own process, as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import redis

from tests import kafka_tools
from tests.checkpoints import save_tiny_checkpoint
from tests.kafka_tools import Keyed
from tests.workplace import Workplace, new_workplace
from worker.errors import EXIT_DEPENDENCY, EXIT_FAILED, EXIT_OK
from worker.stack import LocalStack
from worker.stack.server import free_port

TIMEOUT_S = 300.0
LIMITS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}

Variables = Mapping[str, str]


class Outcome(NamedTuple):
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str


@contextmanager
def running(variables: Variables, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`sentiment ARGUMENTS`; killed on exit if it still runs."""
    with subprocess.Popen(
        [sys.executable, "-m", "worker.cli", *arguments],
        env={**os.environ, **LIMITS, **variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def run(variables: Variables, *arguments: str, text: str = "") -> Outcome:
    with running(variables, *arguments) as process:
        out, err = process.communicate(text, TIMEOUT_S)
        return Outcome(process.returncode, out, err)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny")


@pytest.fixture
def place(make_workplace: Callable[..., Workplace], checkpoint: Path) -> Workplace:
    """A workplace with topics and the small checkpoint."""
    return make_workplace(checkpoint=str(checkpoint), partitions=2)


@pytest.fixture
def away() -> Variables:
    """Settings of a Kafka and a Redis that do not exist."""
    here = f"127.0.0.1:{free_port()}"
    return {
        "SENTIMENT_KAFKA": here,
        "SENTIMENT_REDIS": f"redis://:secret@{here}/0",
        "SENTIMENT_REQUEST_TIMEOUT_S": "3",
    }


def test_a_worker_without_kafka_ends_with_3_and_says_what_to_do(place: Workplace, away: Variables) -> None:
    outcome = run(place.environment() | {**away, "SENTIMENT_REDIS": place.stack.redis}, "worker")
    assert (outcome.code, outcome.out) == (EXIT_DEPENDENCY, "")
    assert f"Kafka at {away['SENTIMENT_KAFKA']}: does not answer" in outcome.err
    assert "`sentiment stack` runs a local one" in outcome.err
    assert "Traceback" not in outcome.err


def test_a_worker_without_redis_ends_with_3_and_does_not_show_the_password(place: Workplace, away: Variables) -> None:
    outcome = run(place.environment() | {**away, "SENTIMENT_KAFKA": place.stack.kafka}, "worker")
    assert outcome.code == EXIT_DEPENDENCY
    assert f"Redis at redis://{away['SENTIMENT_KAFKA']}/0: does not answer" in outcome.err
    assert "secret" not in outcome.err
    assert "Traceback" not in outcome.err


def test_a_worker_without_its_topics_names_them(stack: LocalStack, checkpoint: Path) -> None:
    bare = new_workplace(stack, checkpoint=str(checkpoint))
    outcome = run(bare.environment(), "worker")
    assert outcome.code == EXIT_FAILED
    assert all(name in outcome.err for name in bare.all_topics)
    assert "`sentiment topics` creates them" in outcome.err


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_worker_reads_to_the_end_logs_what_it_does_and_ends_with_0(place: Workplace, log_format: str) -> None:
    texts = ["what a good flight", "such bad service"]
    kafka_tools.produce(place.stack.kafka, place.topic, [Keyed(b"acme", _value(text)) for text in texts])
    outcome = run(place.environment(), "worker", "--until-end", "--log-format", log_format)
    assert (outcome.code, outcome.out) == (EXIT_OK, "")
    assert not any(text in outcome.err for text in texts)
    if log_format == "json":
        lines = [json.loads(line) for line in outcome.err.splitlines()]
        owned = [
            (line["topic"], line["partition"], line["offset"]) for line in lines if line.get("action") == "take_over"
        ]
        assert sorted(owned) == [(topic, number, 0) for topic in sorted(place.settings.topics) for number in (0, 1)]
    assert len(kafka_tools.read_to_end(place.stack.kafka, place.settings.events_topic)) == 2, outcome.err


def test_sigterm_ends_a_worker_with_0(place: Workplace) -> None:
    with running(place.environment(), "worker") as process:
        assert process.stderr is not None
        next(line for line in process.stderr if "owned from offset" in line)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=TIMEOUT_S)
        assert (process.returncode, "Traceback" in err) == (EXIT_OK, False)


def test_topics_are_created_once(stack: LocalStack) -> None:
    bare = new_workplace(stack)
    try:
        first = run(bare.environment(), "topics", "--partitions", "3")
        assert (first.code, first.out) == (EXIT_OK, f"created {', '.join(bare.all_topics)}\n")
        assert run(bare.environment(), "topics").out == "all topics exist\n"
    finally:
        bare.delete_topics()


def test_check_has_a_line_for_each_dependency(place: Workplace) -> None:
    outcome = run(place.environment(), "check")
    assert outcome.code == EXIT_OK
    assert [line.split()[:2] for line in outcome.out.splitlines()] == [
        ["kafka", "ok"],
        ["topics", "ok"],
        ["redis", "ok"],
        ["checkpoint", "ok"],
    ]


def test_check_ends_with_3_without_servers_and_still_checks_the_rest(place: Workplace, away: Variables) -> None:
    outcome = run(place.environment() | away, "check")
    assert outcome.code == EXIT_DEPENDENCY
    verdicts = dict(line.split()[:2] for line in outcome.out.splitlines())
    assert verdicts == {"kafka": "FAILED", "topics": "FAILED", "redis": "FAILED", "checkpoint": "ok"}
    assert "secret" not in outcome.out


def test_check_reports_a_redis_that_evicts_and_what_to_set(place: Workplace) -> None:
    with redis.Redis.from_url(place.stack.redis) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            outcome = run(place.environment(), "check")
        finally:
            client.config_set("maxmemory-policy", "noeviction")
    assert outcome.code == EXIT_DEPENDENCY
    assert "maxmemory-policy allkeys-lru" in outcome.out
    assert "config set maxmemory-policy noeviction" in outcome.out


def test_a_stream_s_state_is_shown_and_erased(place: Workplace) -> None:
    variables = place.environment()
    kafka_tools.produce(place.stack.kafka, place.topic, [Keyed(b"acme", _value("good flight"))] * 3)
    assert run(variables, "worker", "--until-end").code == EXIT_OK
    shown = json.loads(run(variables, "state", "show", "acme", "--topic", place.topic).out)
    assert (shown["stream"], shown["topic"], shown["position"]) == ("acme", place.topic, 3)
    assert shown["entry"]["num_records"] == shown["entry"]["mood"]["num_records"] == 3
    assert shown["entry"]["network"]["num_texts"] == 3

    kept = run(variables, "state", "erase", "acme", "--topic", place.topic, text="n\n")
    assert kept.code == EXIT_FAILED
    erased = run(variables, "state", "erase", "acme", "--topic", place.topic, text="y\n")
    assert f"{place.topic}-{shown['partition']}, offset 3" in erased.out
    assert run(variables, "worker", "--until-end").code == EXIT_OK
    gone = run(variables, "state", "show", "acme", "--topic", place.topic)
    assert gone.code == EXIT_FAILED
    assert "Redis has no state of stream 'acme'" in gone.err


def test_feed_worker_tail_and_dead_letters_work_together(place: Workplace, tmp_path: Path) -> None:
    variables = place.environment() | {"SENTIMENT_MAX_TEXT_BYTES": "100"}
    file = tmp_path / "tweets.jsonl"
    records = [
        {"stream": "acme", "id": str(number), "text": "good " * length} for number, length in enumerate((1, 2, 30))
    ]
    file.write_text("".join(json.dumps(record) + "\n" for record in records) + '{"stream": "acme", "text": 5}\n')
    fed = run(place.environment(), "feed", str(file), "--topic", place.topic)
    assert (fed.code, fed.out) == (EXIT_FAILED, f"3 records sent to {place.topic}, 1 refused\n")
    assert f"{file}:4: wrong_type" in fed.err
    assert run(variables, "worker", "--until-end").code == EXIT_OK

    listed = run(variables, "deadletters", "list", "--json").out
    assert json.loads(listed)["reason"] == "text_too_long"
    assert run(variables, "deadletters", "redrive", "--reason", "no_text").out == "0 records sent back\n"
    assert run(variables, "deadletters", "redrive", "--reason", "text_too_long").out == "1 records sent back\n"
    assert "redriven" in run(variables, "deadletters", "list").out
    assert run(place.environment(), "worker", "--until-end").code == EXIT_OK

    with running(variables, "tail", "--from-start", "--json") as process:
        assert process.stdout is not None
        events = [json.loads(process.stdout.readline()) for _ in range(3)]
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) == EXIT_OK
    assert [event["record_id"] for event in events] == ["0", "1", "2"]


def test_a_simulated_feed_sends_the_records_that_it_reports(place: Workplace) -> None:
    outcome = run(place.environment(), "feed", "--simulate", "--seconds", "1", "--rate", "200")
    assert (outcome.code, outcome.out) == (EXIT_OK, f"200 records sent to {', '.join(place.settings.topics)}\n")
    assert len(kafka_tools.read_to_end(place.stack.kafka, *place.settings.topics)) == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stack_prints_its_settings_then_ready_and_stops_on_a_signal(number: signal.Signals) -> None:
    with running({}, "stack") as process:
        assert process.stdout is not None
        lines = []
        while (line := process.stdout.readline().strip()) not in {"ready", ""}:
            lines.append(line)
        assert line == "ready"
        variables = dict(line.split("=", maxsplit=1) for line in lines)
        assert list(variables)[:2] == ["SENTIMENT_KAFKA", "SENTIMENT_REDIS"]
        assert run(variables, "topics").code == EXIT_OK
        assert run(variables, "topics").out == "all topics exist\n"
        process.send_signal(number)
        out, _ = process.communicate(timeout=TIMEOUT_S)
        assert (process.returncode, out) == (EXIT_OK, "")
    assert run({**variables, "SENTIMENT_REQUEST_TIMEOUT_S": "1"}, "topics").code == EXIT_DEPENDENCY


def _value(text: str) -> bytes:
    return json.dumps({"text": text}).encode()
