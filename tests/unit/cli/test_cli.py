"""The command line without any server: help, settings, errors and exit codes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner, Result

from model import CheckpointError, ConfigError
from worker import __version__
from worker.cli import app
from worker.cli.options import expected_errors
from worker.errors import EXIT_DEPENDENCY, EXIT_FAILED, EXIT_MISUSED, EXIT_OK, DependencyError
from worker.settings import Settings
from worker.stack.server import free_port

pytestmark = pytest.mark.usefixtures("same_logs_afterwards")


def all_commands(group: Any, name: str = "") -> Iterator[str]:
    """The names of all commands below `group`, those of a group that does something by itself too."""
    for command in group.commands.values():
        inner = f"{name} {command.name}".strip()
        if not isinstance(command, TyperGroup):
            yield inner
            continue
        yield from all_commands(command, inner)
        if command.invoke_without_command:
            yield inner


COMMANDS = sorted(all_commands(typer.main.get_command(app)))


def run(*arguments: str, text: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, arguments, input=text)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(command: str) -> None:
    result = run(*command.split(), "--help")
    assert result.exit_code == EXIT_OK
    assert f"sentiment {command}" in " ".join(result.output.split("Examples:")[1].split())


@pytest.mark.parametrize(
    ("typed", "completed"),
    [("sentiment de", "demo\ndeadletters"), ("sentiment deadletters l", "list"), ("sentiment tail --js", "--json")],
)
def test_the_shell_completes_commands_and_options(typed: str, completed: str) -> None:
    environment = {"_SENTIMENT_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    result = CliRunner().invoke(app, [], env=environment, prog_name="sentiment")
    assert result.output.strip() == completed


def test_the_help_names_every_command() -> None:
    output = run("--help").output
    assert all(command.split()[0] in output for command in COMMANDS)


def test_no_command_shows_the_help_and_is_misuse() -> None:
    result = run()
    assert "Usage:" in result.output
    assert result.exit_code == EXIT_MISUSED


def test_the_version_is_that_of_the_package() -> None:
    assert run("--version").output == f"sentiment {__version__}\n"


def test_help_imports_neither_the_network_nor_kafka() -> None:
    slow = ("numba", "aiokafka", "faust", "kafka", "torch")
    code = f"import sys, worker.cli; sys.exit(any(name in sys.modules for name in {slow}))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_every_setting_of_the_worker_is_a_flag() -> None:
    worker = typer.main.get_group(app).commands["worker"]
    flags = {flag for parameter in worker.params for flag in parameter.opts}
    of_other_commands = {"prometheus", "partitions", "replication", "page_host", "page_port", "page_token"}
    wanted = {"--" + name.replace("_", "-") for name in Settings.model_fields.keys() - of_other_commands}
    assert wanted | {"--config", "--until-end"} == flags


def test_one_message_names_all_invalid_settings_whatever_their_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "sentiment.toml"
    config.write_text('redis = "nonsense"\n')
    monkeypatch.setenv("SENTIMENT_HEALTH_PORT", "70000")
    result = run("worker", "--config", str(config), "--max-batch", "many", "--commit-timeout-s", "99")
    assert result.exit_code == EXIT_MISUSED
    for name in ("redis", "health_port", "max_batch", "commit_timeout_s"):
        assert name in result.stderr
    assert "Traceback" not in result.stderr


def test_a_flag_overrides_the_variable(tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTIMENT_CHECKPOINT", "/nowhere")
    assert run("score", "--checkpoint", str(tiny_checkpoint), text="good\n").exit_code == EXIT_OK
    result = run("score", text="good\n")
    assert result.exit_code == EXIT_FAILED
    assert "/nowhere" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("feed",), "FILES"),
        (("feed", "a.jsonl", "--simulate"), "FILES"),
        (("feed", "a.jsonl"), "--topic"),
        (("feed", "--simulate", "--rate", "0"), "rate"),
        (("deadletters", "list", "--reason", "boredom"), "boredom"),
        (("state", "show", "a"), "--topic"),
        (("train", "--data", "d", "--run", "r", "--set", "epoch=3", "--set", "seed=x"), "epochs"),
        (("train", "--data", "d", "--run", "r", "--set", "epochs=0"), "epochs must be at least 1"),
        (("nonsense",), "nonsense"),
    ],
)
def test_misuse_is_explained_with_code_2(arguments: tuple[str, ...], expected: str) -> None:
    result = run(*arguments)
    assert result.exit_code == EXIT_MISUSED
    assert expected in result.output


def test_erasing_asks_for_confirmation() -> None:
    result = run("state", "erase", "acme", "--topic", "tweets", text="n\n")
    assert "Erase the state of acme in tweets?" in result.output
    assert result.exit_code == EXIT_FAILED


@pytest.mark.parametrize(
    ("payload", "stream", "message"),
    [
        ('{"key_format": "payload"}', "acme", "keys name no streams"),
        ('{"key_format": "int"}', "acme", "no key of format int names the stream 'acme'"),
    ],
)
def test_a_stream_that_no_key_names_cannot_be_erased(payload: str, stream: str, message: str) -> None:
    result = run("state", "erase", stream, "--topic", "tweets", "--yes", "--payloads", f'{{"tweets": {payload}}}')
    assert result.exit_code == EXIT_FAILED
    assert message in result.stderr


def test_without_kafka_a_command_ends_with_code_3_and_says_what_to_do() -> None:
    kafka = f"127.0.0.1:{free_port()}"
    for command in (("tail",), ("topics",), ("deadletters", "list"), ("state", "erase", "a", "--topic", "t", "--yes")):
        result = run(*command, "--kafka", kafka, "--request-timeout-s", "0.5")
        assert result.exit_code == EXIT_DEPENDENCY
        assert f"Kafka at {kafka}" in result.stderr
        assert "sentiment stack" in result.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DependencyError("Kafka", "here:9092", "is away", "Start it"), EXIT_DEPENDENCY),
        (CheckpointError("weights.safetensors is cut short"), EXIT_FAILED),
        (ConfigError("epochs must be at least 1"), EXIT_MISUSED),
    ],
)
def test_an_expected_error_ends_with_its_message_and_code(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as caught, expected_errors():
        raise error
    assert caught.value.exit_code == code
    assert capsys.readouterr().err == f"sentiment: {error}\n"


def test_an_unexpected_error_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), expected_errors():
        _ = 1 / 0
