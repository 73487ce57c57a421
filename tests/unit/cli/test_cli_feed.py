"""`sentiment feed`, `payloads try` and `deadletters` where they need no server: what is misused is named."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from worker.cli import app
from worker.errors import EXIT_FAILED, EXIT_MISUSED, EXIT_OK
from worker.tools.deadletters import DeadLetter

pytestmark = pytest.mark.usefixtures("same_logs_afterwards")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"stream": "a", "text": "fine"}\n{"text": "fine"}\n')
    return str(path)


def test_a_dry_run_says_what_would_be_sent_and_names_the_rest(file: str) -> None:
    result = run("feed", file, "--topic", "tweets", "--dry-run", "--kafka", "nowhere.invalid")
    assert result.exit_code == EXIT_FAILED
    assert "1 records would be sent to tweets, 1 refused" in result.output
    assert f"{file}:2: no_stream" in result.output


def test_what_a_preset_skips_is_counted(tmp_path: Path) -> None:
    file = tmp_path / "changes.jsonl"
    file.write_bytes(b'{"op": "d", "before": {"id": 1, "text": "fine"}, "after": null, "ts_ms": 1}\n' * 2)
    result = run("feed", str(file), "--topic", "tweets", "--dry-run", "--payloads", "tweets=debezium")
    assert result.exit_code == EXIT_OK
    assert "0 records would be sent to tweets, 0 refused" in result.output
    assert "2 records were left out, as the rules of tweets skip them" in result.output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--topic", "sentiment.events"), "sentiment.events is written by the worker"),
        (("--topic", "tweets", "--encoding", "zip"), "no text encoding 'zip'"),
        (("--topic", "tweets", "--encoding", "idna"), "no text encoding 'idna'"),
        (("--topic", "tweets", "--encoding", "klingon"), "no text encoding 'klingon'"),
    ],
)
def test_a_feed_that_cannot_be_meant_is_refused(file: str, arguments: tuple[str, ...], expected: str) -> None:
    result = run("feed", file, *arguments)
    assert result.exit_code == EXIT_MISUSED
    assert expected in result.output


def test_a_time_that_ends_before_it_begins_chooses_no_dead_letters() -> None:
    result = run("deadletters", "list", "--since", "2026-11-22T00:00:00Z", "--until", "2026-11-21T00:00:00Z")
    assert result.exit_code == EXIT_MISUSED
    assert "--since is not before --until" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "no dead letters in of.mine\n"),
        (("--reason", "no_text"), "no such dead letters in of.mine\n"),
        (("--json",), ""),
    ],
)
def test_a_list_without_dead_letters_says_so_beside_its_output_and_not_to_scripts(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    async def none_at_all(*_: object) -> AsyncIterator[DeadLetter]:
        for letter in ():
            yield letter

    monkeypatch.setattr("worker.tools.deadletters.list_deadletters", none_at_all)
    result = run("deadletters", "list", "--deadletters-topic", "of.mine", *arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (EXIT_OK, "", said)


def test_a_key_may_be_any_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"text": "fine"}')
    result = run("payloads", "try", str(path), "--topic", "tweets", "--key", "\udcff", "--checkpoint", "small")
    assert result.exit_code == EXIT_FAILED
    assert "invalid_utf8: byte 0 of the key is not UTF-8" in result.output
