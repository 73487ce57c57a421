"""What `score`, `tail` and the demo write on a terminal, and the progress of long commands."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from typer.testing import CliRunner

from tests.factories.records import START_MS, Record, new_event, new_shift
from worker.cli import app
from worker.errors import Reason, RecordError
from worker.records.codec import encode
from worker.records.headers import deadletter_headers
from worker.records.types import EventLanguage, EventMood, EventWord, Probabilities
from worker.settings import load_settings
from worker.tools.score_file import RefusedLine, ScoredLine
from worker.tools.terminal.marks import BAR_CELLS, column, score_bar
from worker.tools.terminal.progress import shown_progress
from worker.tools.terminal.scored_text import show_scored
from worker.tools.terminal.spans import split_at_words
from worker.tools.terminal.tail_view import TailView

HOSTILE = "late \x1b[2J\x07\u202e[b]again\r\n\x9b31m"
CONTROLS = re.compile("[\x00-\x09\x0b-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e]")
SETTINGS = load_settings()
EVENT = new_event(
    stream="@acme",
    label="negative",
    score=-0.7,
    words=[EventWord("late", 0, 4, -0.5), EventWord("again", 5, 10, -0.2)],
    mood=EventMood(-0.25, 0.5, 1),
)


def new_console(width: int = 100, **more: Any) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, **{"color_system": "standard", **more})


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def plain(console: Console) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", written(console))


def scored(words: list[EventWord], *, label: str = "positive", understood: bool = True) -> ScoredLine:
    probabilities, language = Probabilities(0.05, 0.05, 0.9), EventLanguage("en", 0.98)
    return ScoredLine("1", None, label, 0.85, probabilities, words, language, 1.0, understood)


def in_topic(topic: str, value: bytes | None, key: bytes = b"@acme", headers: Any = ()) -> Record:
    return Record(0, key, value, topic, 0, timestamp=START_MS, headers=headers)


def tailed(*records: Record, width: int = 100, **more: Any) -> Console:
    console = new_console(width, **more)
    view = TailView(SETTINGS, console)
    for record in records:
        view.show(record)
    return console


def dead_letter(value: bytes = b'{"text": 5}', error: str = "text is 5") -> Record:
    headers = deadletter_headers((), RecordError(Reason.WRONG_TYPE, error), "tweets", 0, 7, START_MS)
    return in_topic(SETTINGS.deadletters_topic, value, headers=headers)


def test_each_word_is_coloured_by_how_far_it_moved_the_score() -> None:
    console = new_console()
    words = [EventWord("great", 0, 5, 0.93), EventWord("flight", 6, 12, -0.09), EventWord("thanks", 14, 20, 0.3)]
    show_scored(console, "great flight, thanks", scored(words))
    first = written(console).splitlines()[0]
    assert first == "\x1b[1;7;32mgreat\x1b[0m \x1b[31mflight\x1b[0m, \x1b[1;32mthanks\x1b[0m"
    assert "positive +0.85  ······│█████·  confidence 90%  language en 98%" in plain(console)


def test_without_colours_the_changes_are_numbers() -> None:
    console = new_console(no_color=True)
    show_scored(console, "great flight", scored([EventWord("great", 0, 5, 0.93)]))
    assert plain(console).startswith("great(+0.93) flight\n")
    assert not re.search(r"\x1b\[[\d;]*3\dm", written(console))


def test_what_is_not_understood_or_not_scored_says_so() -> None:
    console = new_console()
    show_scored(console, "bonjour", scored([], understood=False))
    show_scored(console, "", RefusedLine("7", "no_text: \x1b[2Jnothing"))
    assert "not understood: do not rely on it" in plain(console)
    assert " not scored  line 7: no_text: \\x1b[2Jnothing" in plain(console)


@pytest.mark.parametrize("color_system", ["standard", "truecolor", None])
def test_no_control_character_of_a_text_reaches_the_terminal(color_system: str | None) -> None:
    console = new_console(color_system=color_system)
    show_scored(console, HOSTILE, scored([EventWord(HOSTILE[:9], 0, 9, -0.5)]))
    hostile = encode(new_event(stream=HOSTILE, words=[EventWord(HOSTILE, 0, len(HOSTILE), 0.5)]))
    records = in_topic(SETTINGS.events_topic, hostile), dead_letter(HOSTILE.encode(), HOSTILE)
    seen = plain(console) + plain(tailed(*records, width=300, color_system=color_system))
    assert not CONTROLS.search(seen)
    assert "\x1b" not in seen
    assert "[b]again" in seen


def test_an_event_a_shift_and_a_dead_letter_have_a_line_each() -> None:
    event, shift = encode(EVENT), encode(new_shift())
    console = tailed(
        in_topic(SETTINGS.events_topic, event), in_topic(SETTINGS.shifts_topic, shift), dead_letter(), width=140
    )
    first, second, third = plain(console).splitlines()
    assert re.match(r"\d\d:\d\d:\d\d tweets +@acme +negative -0.70 ··████│······  mood -0.25  late  again", first)
    assert re.search(r" shift  @acme turned positive \+0.60 to negative -0.50 since \d\d:\d\d:\d\d", second)
    assert re.search(r"tweets +@acme +dead letter  wrong_type: text is 5  \{\"text\": 5\}", third)
    assert "\x1b[1;7;31m dead letter" in written(console)


@pytest.mark.parametrize("width", [20, 60, 100])
def test_no_line_is_wider_than_the_window(width: int) -> None:
    wide = encode(new_event(stream="漢字" * 40, words=[EventWord("word" * 20, 0, 80, 0.5)] * 9))
    records = [in_topic(SETTINGS.events_topic, wide), dead_letter(b"x" * 5000, "because " * 50)]
    lines = plain(tailed(*records, width=width)).splitlines()
    assert len(lines) == 2
    assert max(map(cell_len, lines)) <= width


@pytest.mark.parametrize("value", [None, b"", b"\xff", b'{"id": "caf\xe9"}'])
def test_a_record_that_the_worker_did_not_write_is_named_and_the_next_one_shown(value: bytes | None) -> None:
    lines = plain(tailed(in_topic(SETTINGS.events_topic, value), in_topic(SETTINGS.events_topic, encode(EVENT))))
    bad, good = lines.splitlines()
    assert "sentiment.events-0, offset 0: not what the worker writes" in bad
    assert "negative -0.70" in good
    foreign = plain(tailed(in_topic(SETTINGS.deadletters_topic, None)))
    assert "no worker wrote this record" in foreign


@given(st.text(max_size=12), st.lists(st.tuples(st.integers(-2, 14), st.integers(-2, 14), st.floats(-1, 1))))
def test_a_text_cut_at_its_words_is_still_the_text(text: str, spans: list[tuple[int, int, float]]) -> None:
    assert "".join(piece for piece, _ in split_at_words(text, spans)) == text


def test_a_bar_grows_from_the_middle_and_is_always_as_wide() -> None:
    assert [score_bar(score).plain for score in (-1, 0, 0.5, 2)] == [
        "██████│······",
        "······│······",
        "······│███···",
        "······│██████",
    ]
    assert 2 * BAR_CELLS + 1 == 13


@pytest.mark.parametrize(("text", "shown"), [("ab", "ab  "), ("abcd", "abcd"), ("abcde", "abc…"), ("漢字語", "漢 …")])
def test_a_column_is_as_wide_as_it_is_to_be(text: str, shown: str) -> None:
    assert column(text, 4) == shown


def test_progress_is_shown_on_a_terminal_and_leaves_nothing_behind(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with shown_progress("sending", 10) as advance:
        advance(5)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with shown_progress("reading") as advance:
        advance(5, 10)
    shown = capsys.readouterr().err
    assert "reading" in shown
    assert " 5/10" in shown
    assert shown.endswith("\x1b[2K"), "the bar is erased"
    with shown_progress("scoring", is_shown=False) as advance:
        advance(1)
    assert capsys.readouterr().err == ""


def test_score_is_for_people_on_a_terminal_and_json_where_that_is_asked_for(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, same_logs_afterwards: None
) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "worker.cli", "score", "-", "--checkpoint", str(tiny_checkpoint)]
    subprocess.run(command, input=b"good flight\n", stdout=theirs, timeout=120, check=True)
    os.close(theirs)
    assert "│" in os.read(ours, 65536).decode()
    monkeypatch.setattr(Console, "is_terminal", True)
    asked = CliRunner().invoke(app, ["score", "--json", "--checkpoint", str(tiny_checkpoint)], input="good flight\n")
    assert asked.stdout.startswith('{"id":"1"')
