"""`python -m benchmarks.engine`: its tables, its JSON, and its error for a missing peer."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from benchmarks.engine import __main__ as command
from benchmarks.engine import instruction_sets
from benchmarks.engine.__main__ import app, simulated_tweets
from benchmarks.engine.figures import Bar, BenchRow, BenchSpeed, EngineBench
from benchmarks.engine.instruction_sets import Isa
from worker.errors import EXIT_FAILED, EXIT_OK

MEASURE = "benchmarks.engine.measure"

pytestmark = pytest.mark.usefixtures("same_logs_afterwards")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The arguments of the measurement, which is replaced by one that takes no time."""
    given: dict[str, Any] = {}

    def measure(texts: Sequence[str], **options: Any) -> EngineBench:
        given.update(options, texts=texts)
        options["on_progress"]("everything")
        return measured()

    pretended = SimpleNamespace(measure_engine=measure, num_bench_texts=lambda *, quick: 8 if quick else 16)
    monkeypatch.setitem(sys.modules, MEASURE, pretended)
    return given


def measured() -> EngineBench:
    row = BenchRow(name="float32 against torch packed", value=2.5, unit="x", hidden_size=128, bar=Bar(2.8))
    latency = BenchRow(name="one text", value=0.5, unit="ms", bar=Bar(1, is_least=False), note="p99 0.6 ms")
    speed = BenchSpeed(
        name="packed",
        title="torch nn.LSTM, packed",
        hidden_size=128,
        texts_per_s=9096,
        tokens_per_s=181_920,
        gflops=23.8,
        max_difference=2e-7,
        mean_difference=None,
    )
    machine = {"processor": "A processor", "cores": 2, "features": ["avx2"], "matrix_gflops": 119.0}
    settings = {"texts": 64, "batch": 32, "rounds": 1, "mean_tokens": 20.0}
    return EngineBench(machine=machine, settings=settings, speeds=[speed], rows=[row, latency])


def test_the_tables_show_the_bar_of_each_figure(asked: dict[str, Any]) -> None:
    result = run()
    assert result.exit_code == EXIT_OK, result.output
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.stdout.splitlines() if "│" in line]
    assert ["torch nn.LSTM, packed", "9,096", "23.8", "20%", "2.0e-07", ""] in cells
    assert ["float32 against torch packed", "128", "2.50x", ">= 2.80x", "no", ""] in cells
    assert ["one text", "", "0.5 ms", "<= 1 ms", "yes", "p99 0.6 ms"] in cells
    assert len(asked["texts"]) == 16


def test_json_is_one_object(asked: dict[str, Any], tmp_path: Path) -> None:
    result = run("--json", "--quick", "--plots", tmp_path, "--checkpoint", tmp_path / "mine")
    assert result.exit_code == EXIT_OK, result.output
    assert json.loads(result.stdout) == measured().to_dict()
    assert (asked["quick"], asked["plots"]) == (True, tmp_path)
    assert Path(asked["checkpoint"]).name == "mine"
    assert len(asked["texts"]) == 8


def test_ours_and_the_peers_are_held_to_a_set_in_a_program_that_starts_again(
    asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[dict[str, str]] = []
    monkeypatch.setattr(command, "cpu_flags", lambda: "avx avx2")
    monkeypatch.setattr(
        instruction_sets.os, "execve", lambda program, arguments, environment: started.append(environment)
    )
    monkeypatch.setenv("OPENBLAS_CORETYPE", "a wrong one")
    run("--isa", "avx2")
    [environment] = started
    assert environment["OPENBLAS_CORETYPE"] == "Haswell"
    assert "+avx2" in environment["NUMBA_CPU_FEATURES"]
    assert {environment["ATEN_CPU_CAPABILITY"], environment["ONEDNN_MAX_CPU_ISA"].lower()} == {"avx2"}
    assert not set(instruction_sets.VARIABLES) & set(instruction_sets.environment_for(Isa.NATIVE, environment))


def test_a_set_that_the_processor_does_not_have_is_refused(
    asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "cpu_flags", lambda: "avx avx2")
    result = run("--isa", "avx512")
    assert result.exit_code == EXIT_FAILED
    assert result.stderr == "sentiment: this processor does not have the instruction set avx512\n"
    assert not asked


def test_the_texts_may_come_from_a_file(asked: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(json.dumps({"text": f"text {number}"}) + "\n" for number in range(20)))
    assert run("--quick", "--texts", file).exit_code == EXIT_OK
    assert asked["texts"][:2] == ["text 0", "text 1"]
    file.write_text('{"text": "one"}\n')
    result = run("--quick", "--texts", file)
    assert result.exit_code == EXIT_FAILED
    assert "1 texts, 8 are needed" in result.stderr


def test_a_peer_that_is_not_installed_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for other in ("onnx", "onnxruntime", "threadpoolctl", "torch"):
        import_module(other)  # so that the peer below is the only one that is missing
    measuring = ("benchmarks.engine.measure", "benchmarks.engine.measurements", "vaderSentiment")
    for name in [name for name in sys.modules if name.startswith(measuring)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "vaderSentiment", None)
    result = run()
    assert result.exit_code == EXIT_FAILED
    said = r"sentiment: the benchmark needs packages .*vaderSentiment.*pip install '\.\[bench\]'\n"
    assert re.fullmatch(said, result.stderr)


def test_the_help_has_examples_and_needs_no_peer() -> None:
    code = "import sys; sys.modules['torch'] = None; from benchmarks.engine.__main__ import app; app(['--help'])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True).stdout
    assert "python -m benchmarks.engine --json" in " ".join(shown.split("Examples:")[1].split())


def test_the_simulated_tweets_are_the_same_each_time() -> None:
    assert simulated_tweets(20) == simulated_tweets(30)[:20]
