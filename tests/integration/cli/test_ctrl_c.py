"""Commands on a terminal: what `tail` shows there, and Ctrl-C, after which no command leaves a traceback."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.checkpoints import save_tiny_checkpoint
from tests.kafka_tools import Keyed, produce
from tests.workplace import Workplace, new_workplace
from worker.errors import EXIT_OK
from worker.stack import LocalStack

TIMEOUT_S = 180.0
BY_CTRL_C = 130
RETRY_S = 1.0  # of a client whose broker is away: more than it waits between two attempts


class Terminal:
    """`sentiment ARGUMENTS` with a terminal of 100 columns as input and output."""

    def __init__(self, arguments: list[str], variables: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        self._shown = b""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "worker.cli", *arguments],
            env={**os.environ, **variables, "TERM": "xterm", "COLUMNS": "100"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        os.set_blocking(self._ours, False)

    def shows(self, pattern: str) -> str:
        """What the command has written once `pattern` is in it, without colours."""
        deadline = time.monotonic() + TIMEOUT_S
        while not re.search(pattern, self._read()):
            assert time.monotonic() < deadline, self._read()
            assert self._process.poll() is None, self._read()
            time.sleep(0.05)
        return self._read()

    def ctrl_c(self) -> tuple[int, str]:
        """The exit code after Ctrl-C, as a shell says it, and all that the command has written."""
        self._process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + TIMEOUT_S
        while (code := self._process.poll()) is None:
            assert time.monotonic() < deadline, self._read()
            self._read()  # a command that cannot write does not end
            time.sleep(0.05)
        return (128 - code if code < 0 else code), self._read()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def _read(self) -> str:
        try:
            while chunk := os.read(self._ours, 65536):
                self._shown += chunk
        except OSError:  # nothing now, or the command has ended
            pass
        return re.sub(r"\x1b\[[\d;?]*\w", "", self._shown.decode(errors="replace"))


@pytest.fixture
def place(make_workplace: Callable[..., Workplace], tmp_path: Path) -> Workplace:
    return make_workplace(checkpoint=str(save_tiny_checkpoint(tmp_path / "tiny")), partitions=1)


@pytest.fixture
def in_terminal(place: Workplace) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(*arguments: str) -> Terminal:
        opened.append(Terminal([*arguments], place.environment()))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


def test_the_tail_shows_events_and_dead_letters_and_every_command_ends_well_by_ctrl_c(
    place: Workplace, in_terminal: Callable[..., Terminal]
) -> None:
    values = [b'{"text": "such bad \\u001b[2J service"}', b'{"text": 5}']
    produce(place.stack.kafka, place.topic, [Keyed(b"acme", value) for value in values])
    worker = in_terminal("worker")
    tail = in_terminal("tail", "--from-start")
    shown = tail.shows("dead letter")
    assert re.search(r"acme +(negative|neutral|positive) +[+-]0\.\d\d [·█]{6}│[·█]{6}  mood", shown)
    assert re.search(r"acme +dead letter  wrong_type: .*", shown)
    assert max(map(len, shown.splitlines())) <= 100
    score = in_terminal("score", "-", "--checkpoint", place.environment()["SENTIMENT_CHECKPOINT"])
    feed = in_terminal("feed", "--simulate", "--rate", "20")
    feed.shows(r"[1-9]\d*/\?")
    page = in_terminal("page", "--page-port", "0")
    page.shows("page: http")
    codes = {}
    for name, terminal in {"tail": tail, "feed": feed, "page": page, "score": score, "worker": worker}.items():
        codes[name], written = terminal.ctrl_c()
        assert "Traceback" not in written, name
    assert codes == {"tail": EXIT_OK, "feed": EXIT_OK, "page": BY_CTRL_C, "score": BY_CTRL_C, "worker": EXIT_OK}


@pytest.mark.parametrize("module", ["typer", "pydantic"])
def test_ctrl_c_while_a_command_is_loaded_ends_it_without_a_traceback(module: str) -> None:
    terminal = Terminal(["score", "-"], {"PYTHONPROFILEIMPORTTIME": "1"})
    try:
        terminal.shows(rf"\| +{module}\s")
        code, written = terminal.ctrl_c()
    finally:
        terminal.close()
    assert (code, "Traceback" in written) == (BY_CTRL_C, False)


def test_a_tail_whose_broker_has_died_ends_by_ctrl_c_without_a_traceback() -> None:
    with LocalStack() as stack:
        place = new_workplace(stack, partitions=1)
        place.create_topics()
        produce(stack.kafka, place.settings.deadletters_topic, [Keyed(b"acme", b"{}")])
        tail = Terminal(["tail", "--from-start"], place.environment())
        try:
            tail.shows("dead letter")
            stack.brokers[0].kill()
            time.sleep(2 * RETRY_S)
            code, written = tail.ctrl_c()
        finally:
            tail.close()
    assert (code, "Traceback" in written) == (EXIT_OK, False)
