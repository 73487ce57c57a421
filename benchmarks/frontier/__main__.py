"""The command `python -m benchmarks.frontier`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from model import ModelError
from model.evaluation.plots import check_plot_file
from worker.cli.options import examples, expected_errors

QUICK_TEXTS = 300

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "python -m benchmarks.frontier --data DIR",
        "python -m benchmarks.frontier --data DIR --plot docs/open-frontier.svg",
        "python -m benchmarks.frontier --data DIR --max-texts 500",
        "python -m benchmarks.frontier --data DIR --quick",
    ),
)
def frontier(  # noqa: PLR0913, PLR0917 - an option is an argument
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="The labelled corpora, laid out as for training")],
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Draw accuracy against speed")] = None,
    dollars_an_hour: Annotated[float, typer.Option(help="Price of one core")] = 0.04,
    max_texts: Annotated[
        int | None, typer.Option(min=50, help="Texts of each set that are measured (default: all)")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array instead of the table")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="A few texts of each set; the figures mean nothing")] = False,
) -> None:
    """Measure accuracy, texts a second and dollars a million texts of our networks beside other classifiers.

    Those that learn do so from the corpora that our networks learnt from, without the texts that are measured.
    """
    with expected_errors():
        try:
            from benchmarks.frontier.measure import measure_frontier  # noqa: PLC0415 - --help needs no package
            from benchmarks.frontier.report import draw, table  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise ModelError(f"the comparison needs more packages ({error}): pip install '.[frontier]'") from error
        if plot:
            check_plot_file(plot)
        with Console(stderr=True).status("reading") as status:
            rows = measure_frontier(
                data,
                max_learnt=QUICK_TEXTS if quick else None,
                max_measured=QUICK_TEXTS if quick else max_texts,
                on_progress=lambda name: status.update(f"measuring: {name}"),
            )
        print(json.dumps([row.to_dict(dollars_an_hour) for row in rows]) if as_json else table(rows, dollars_an_hour))
        if plot:
            draw(rows, plot)


if __name__ == "__main__":
    app(prog_name="python -m benchmarks.frontier")
