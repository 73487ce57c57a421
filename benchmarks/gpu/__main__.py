"""The command `python -m benchmarks.gpu`: one JSON object on standard output, progress on standard error."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from model import ModelError
from worker.cli.options import examples
from worker.errors import EXIT_DEPENDENCY, EXIT_FAILED

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(
    context_settings={"help_option_names": ["-h", "--help"]}, epilog=examples("python -m benchmarks.gpu > gpu.json")
)
def gpu(
    max_seconds: Annotated[float, typer.Option(help="No check begins later than this")] = 300.0,
) -> None:
    """Check and measure the engine on an NVIDIA GPU: laws, errors, rates beside cuDNN, and a worker.

    Exit codes: 0 all checks hold, 1 one does not, 3 there is no GPU that can be used.
    """
    try:
        from benchmarks.gpu.checks import check_gpu, usable_gpu  # noqa: PLC0415 - --help needs no torch

        title = usable_gpu()
    except (ModelError, ModuleNotFoundError) as error:
        print(f"sentiment: nothing was measured: {error}", file=sys.stderr)
        raise typer.Exit(EXIT_DEPENDENCY) from error
    found = check_gpu(title, max_seconds, on_progress=lambda line: print(line, file=sys.stderr))
    print(json.dumps(found))
    if not found["holds"]:
        raise typer.Exit(EXIT_FAILED)


if __name__ == "__main__":
    app(prog_name="python -m benchmarks.gpu")
