"""`sentiment score` and `sentiment payloads`: what becomes of lines and records, without any server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from worker.cli import app
from worker.errors import EXIT_FAILED, EXIT_MISUSED, EXIT_OK
from worker.payloads.presets import PRESETS, examples

pytestmark = pytest.mark.usefixtures("same_logs_afterwards")


def run(*arguments: str, text: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, arguments, input=text)


def test_score_answers_plain_and_json_lines_in_order(tiny_checkpoint: Path, tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_bytes(b'great flight, thanks\n{"id": "r1", "stream": "acme", "text": "awful movie"}\n\n{"text": 5}\n')
    result = run("score", str(file), "--checkpoint", str(tiny_checkpoint))
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == EXIT_OK
    assert [line["id"] for line in lines] == ["1", "r1", "3", "4"]
    assert [line.get("error", "").partition(":")[0] for line in lines] == ["", "", "empty_text", "wrong_type"]
    assert "2 of 4 lines could not be scored" in result.stderr


def test_payloads_lists_every_preset_with_its_paths() -> None:
    output = run("payloads").output
    assert all(f"{name} " in output for name in PRESETS)
    assert "data.note_tweet.text, data.text, note_tweet.text, text" in output


def test_payloads_prints_the_examples_of_a_preset() -> None:
    assert run("payloads", "--example", "yelp").stdout.splitlines() == [line.decode() for line in examples("yelp")]
    assert run("payloads", "--example", "nothing").exit_code == EXIT_MISUSED


def test_payloads_try_shows_what_becomes_of_each_record(tiny_checkpoint: Path) -> None:
    records = (
        '{"id": 1, "text": "great", "time": "noon"}\n\n{"retweet": 1, "text": "great"}\n'
        '{"text": 5}\n{"text": "..."}\n{"text":" "}'
    )
    skipping = '{"tweets": {"skip": [{"path": "retweet"}]}}'
    arguments = ("payloads", "try", "-", "--topic", "tweets", "--payloads", skipping, "--key", "acme", "--checkpoint")
    result = run(*arguments, str(tiny_checkpoint), "--json", text=records)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["outcome"] for line in lines] == ["event", "skipped", "dead_letter", "event", "dead_letter"]
    assert (lines[0]["stream"], lines[0]["record_id"], lines[0]["fallbacks"]) == ("acme", "1", ["time_unreadable"])
    assert [line.get("reason") for line in lines[2:]] == ["wrong_type", None, "empty_text"]
    assert result.exit_code == EXIT_FAILED
    shown = run(*arguments, str(tiny_checkpoint), text=records).stdout.splitlines()
    assert shown[1].split() == ["1", "skipped", "there", "is", "retweet"]


def test_payloads_try_reads_one_record_that_is_written_over_several_lines(tiny_checkpoint: Path) -> None:
    arguments = ("payloads", "try", "-", "--topic", "tweets", "--json", "--checkpoint", str(tiny_checkpoint))
    result = run(*arguments, text='{\n "text": "great",\n "stream": "acme"\n}\n')
    assert [json.loads(line)["text"] for line in result.stdout.splitlines()] == ["great"]
    assert result.exit_code == EXIT_OK


def test_score_reads_standard_input_even_when_it_is_empty(tiny_checkpoint: Path) -> None:
    chosen = ("--checkpoint", str(tiny_checkpoint))
    assert json.loads(run("score", "-", *chosen, text="great flight, thanks\n").stdout)["id"] == "1"
    assert run("score", *chosen, text="").stdout == ""


def test_carry_decides_whether_a_text_changes_the_score_of_the_next_one_in_its_stream(tiny_checkpoint: Path) -> None:
    lines = '{"stream": "a", "text": "good flight"}\n' * 2
    outputs = [
        [
            json.loads(line)["score"]
            for line in run("score", flag, "--checkpoint", str(tiny_checkpoint), text=lines).stdout.splitlines()
        ]
        for flag in ("--carry", "--no-carry")
    ]
    assert outputs[0][0] != outputs[0][1]
    assert outputs[1][0] == outputs[1][1] == outputs[0][0]


def test_a_missing_file_is_named(tiny_checkpoint: Path) -> None:
    result = run("score", "nowhere.jsonl", "--checkpoint", str(tiny_checkpoint))
    assert (result.exit_code, result.stderr) == (EXIT_FAILED, "sentiment: nowhere.jsonl: No such file or directory\n")
