"""The command `python -m benchmarks.engine`."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from benchmarks.engine.instruction_sets import Isa, hold_to, is_available
from benchmarks.engine.tables import print_tables
from benchmarks.machine import cpu_flags
from model import DataError, ModelError, read_examples
from worker.cli.options import examples, with_settings
from worker.settings import Settings
from worker.tools.simulate import Feed

SEED, NUM_STREAMS = 20, 300  # of the simulated tweets

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "python -m benchmarks.engine",
        "python -m benchmarks.engine --json --plots docs > bench.json",
        "python -m benchmarks.engine --isa avx2",
        "python -m benchmarks.engine --quick",
    ),
)
@with_settings("checkpoint")
def engine(  # noqa: PLR0913, PLR0917 - what the command line may say
    settings: Settings,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of the tables")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Every row in seconds; the figures mean nothing")] = False,
    texts_file: Annotated[
        Path | None,
        typer.Option("--texts", metavar="FILE", help="Texts for the whole engine (default: simulated)"),
    ] = None,
    plots: Annotated[
        Path | None, typer.Option("--plots", metavar="DIR", help="Draw roofline.svg and scaling.svg there")
    ] = None,
    isa: Annotated[
        Isa | None, typer.Option("--isa", help="Hold all to this instruction set; native: the processor's own")
    ] = None,
) -> None:
    """Time the engine beside torch, ONNX Runtime and VADER: the same work in one process, on one thread.

    Contestants take turns, each turn is timed by its processor time, and the best turn counts. Other load on the
    machine still moves all figures, so trust the ratios. The checkpoint is that of the rows of the whole engine.
    """
    if isa:
        if not is_available(isa, cpu_flags()):
            raise ModelError(f"this processor does not have the instruction set {isa}")
        hold_to(isa)
    try:
        from benchmarks.engine.measure import measure_engine, num_bench_texts  # noqa: PLC0415 - --help needs no torch
    except ModuleNotFoundError as error:
        raise ModelError(
            f"the benchmark needs packages that serving does not ({error}): pip install '.[bench]'"
        ) from error

    num_texts = num_bench_texts(quick=quick)
    texts = [each.text for each in read_examples(texts_file)] if texts_file else simulated_tweets(num_texts)
    if len(texts) < num_texts:
        raise DataError(f"{texts_file}: {len(texts):,} texts, {num_texts:,} are needed")
    with Console(stderr=True).status("preparing") as status:
        measured = measure_engine(
            texts,
            checkpoint=settings.checkpoint,
            quick=quick,
            plots=plots,
            on_progress=lambda line: status.update(f"measuring: {line}"),
        )
    if as_json:
        print(json.dumps(measured.to_dict()))
    else:
        print_tables(measured)


def simulated_tweets(num_texts: int) -> list[str]:
    """The texts of the first tweets of a simulated feed."""
    topic = "tweets"
    feed = Feed(SEED, num_streams=NUM_STREAMS, topics=(topic, "reviews"))
    values = (record.value for record in feed if record.topic == topic)
    return [msgspec.json.decode(value)["text"] for value in islice(values, num_texts)]


if __name__ == "__main__":
    app(prog_name="python -m benchmarks.engine")
