"""The README's commands for your own topics, in its order, on real servers; Faust's own command; what curl asks."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from select import select
from urllib.request import urlopen

import pytest

from tests.kafka_tools import TIMEOUT_S, Keyed, produce, read_count
from tests.system.worker_process import ANSWER_TIMEOUT_S, SURROUNDINGS, WorkerProcess
from tests.unit.docs.pages import blocks, commands_of, programs, shell_lines
from tests.workplace import Workplace, new_workplace
from worker.errors import EXIT_OK
from worker.stack import LocalStack

POLL_S = 1.0
TEXT = Keyed(b"acme", b'{"text": "great flight, thanks"}')


def commands_of_the_readme() -> list[list[str]]:
    """The arguments of each `sentiment` in the block."""
    (block,) = [one for one in blocks("sh") if one.page == "README.md" and "sentiment topics" in one.text]
    lines = [one for line in shell_lines(block) for one in programs(line)]
    return [shlex.split(line)[1:] for line in lines if line.startswith("sentiment ")]


def environment(place: Workplace, checkpoint: Path) -> dict[str, str]:
    return SURROUNDINGS | place.environment() | {"SENTIMENT_CHECKPOINT": str(checkpoint)}


def test_the_commands_of_the_readme_lead_from_no_topic_to_an_event(
    stack: LocalStack, checkpoint: Path, tmp_path: Path
) -> None:
    place = new_workplace(stack)
    variables = environment(place, checkpoint)
    *before, worker, tail = commands_of_the_readme()
    assert (worker, tail) == (["worker"], ["tail"])
    program = (sys.executable, "-m", "worker.cli")
    for arguments in before:
        done = subprocess.run(
            [*program, *arguments],
            env=os.environ | variables, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
        assert done.returncode == EXIT_OK, done.stdout
    with (
        WorkerProcess("worker", tmp_path, variables, ("-m", "worker.cli", *worker)) as running,
        subprocess.Popen([*program, *tail], env=os.environ | variables, stdout=subprocess.PIPE, text=True) as shown,
    ):
        assert shown.stdout is not None
        deadline = time.monotonic() + TIMEOUT_S
        try:
            while not select([shown.stdout], [], [], POLL_S)[0]:  # `tail` shows what comes after its start
                assert time.monotonic() < deadline, running.tail()
                produce(stack.kafka, place.topic, [TEXT])
            assert "acme" in shown.stdout.readline()
            shown.send_signal(signal.SIGINT)
            shown.communicate(timeout=TIMEOUT_S)
        finally:
            shown.kill()
        assert shown.returncode == EXIT_OK
        assert running.terminate() == EXIT_OK
    place.delete_topics()


@pytest.mark.parametrize(("page", "command"), commands_of("faust"))
def test_fausts_own_command_runs_the_worker_where_curl_finds_it(
    make_workplace: Callable[..., Workplace], checkpoint: Path, tmp_path: Path, page: str, command: str
) -> None:
    place = make_workplace()
    arguments = ("-m", *shlex.split(command))
    with WorkerProcess("faust", tmp_path, environment(place, checkpoint), arguments) as running:
        produce(place.stack.kafka, place.topic, [TEXT])
        (event,) = read_count(place.stack.kafka, place.settings.events_topic, count=1)
        assert event.key == TEXT.key, page
        for _, line in commands_of("curl"):
            (url,) = line.split()[1:]
            address, slash, path = url.partition("/")
            assert address == f"{place.settings.health_host}:6066"
            with urlopen(f"http://{running.address}{slash}{path}", timeout=ANSWER_TIMEOUT_S) as answer:
                assert answer.status == 200, url
        assert running.terminate() == EXIT_OK
