"""The command `python -m benchmarks.frontier.by_language`: our network beside multilingual-e5-small, by language.

The encoder's vectors feed a logistic regression for each corpus; tweets of all languages are one problem, since their
three classes mean the same. The vectors are kept, so that a run that is cut off goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.status import Status

from model import DataError, InferenceEngine, ModelError, Request
from model.config import NUM_CLASSES
from model.data.corpora import Example
from model.data.languages import FOLDER, TWEETS, LanguageCorpus, read_language_corpora
from model.evaluation.intervals import macro_f1
from worker.cli.options import examples, expected_errors

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
Labels = NDArray[np.intp]


@app.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples("python -m benchmarks.frontier.by_language --data DIR --vectors runs/vectors.e5"),
)
def by_language(  # noqa: PLR0913, PLR0917 - an option is an argument
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="The labelled corpora, with languages/")],
    vectors: Annotated[Path, typer.Option("--vectors", metavar="FILE", help="Where the encoder's vectors are kept")],
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", help="A folder (default: the packaged one)")
    ] = None,
    kinds: Annotated[
        list[str] | None, typer.Option("--kind", metavar="KIND", help="Only such corpora, as tweets; may be repeated")
    ] = None,
    max_learnt: Annotated[int, typer.Option(min=50, help="Texts of each corpus that a regression learns from")] = 2000,
    max_measured: Annotated[int, typer.Option(min=50, help="Texts of each corpus that are measured")] = 1000,
) -> None:
    """Print accuracy and macro-F1 of both for each corpus, as a table in Markdown."""
    with expected_errors():
        try:
            from model.training.multilingual.e5 import E5  # noqa: PLC0415 - --help needs no package
            from model.training.multilingual.vector_cache import VectorCache  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise ModelError(f"the comparison needs more packages ({error}): pip install '.[train]'") from error
        corpora = {n: corpus for n, corpus in read_language_corpora(data).items() if not kinds or corpus.kind in kinds}
        if not corpora:
            raise DataError(f"{data / FOLDER} has no such corpora")
        learnt = {name: corpus.train[:max_learnt] for name, corpus in corpora.items()}
        measured = {name: corpus.dev[:max_measured] for name, corpus in corpora.items()}
        vectors.parent.mkdir(parents=True, exist_ok=True)
        cache, engine = VectorCache(vectors, E5.load()), InferenceEngine.load(checkpoint)
        with Console(stderr=True).status("reading") as status:
            read = {}
            for name in corpora:
                on_text = partial(_show, status, name)
                read[name] = [cache.vectors([each.text for each in part[name]], on_text) for part in (learnt, measured)]
        print(f"| corpus | texts | {engine.name}: accuracy | macro-F1 | e5 and regression: accuracy | macro-F1 |")
        print("|---|---|---|---|---|---|")
        for name, guesses in _probe(corpora, learnt, read).items():
            labels = _labels(measured[name])
            ours = _of(_ours(engine, measured[name]), labels)
            print(f"| {name} | {len(labels):,} | {ours} | {_of(guesses, labels)} |")


def _show(status: Status, name: str, num_texts: int) -> None:
    status.update(f"{name}: {num_texts:,} texts")


def _probe(
    corpora: Mapping[str, LanguageCorpus],
    learnt: Mapping[str, Sequence[Example]],
    read: Mapping[str, Sequence[NDArray[np.float32]]],
) -> dict[str, Labels]:
    """The guesses of the regressions for the measured texts of each corpus."""
    from model.training.multilingual.probe import Probe  # noqa: PLC0415 - needs scikit-learn

    tweets = [name for name, corpus in corpora.items() if corpus.kind == TWEETS]
    found: dict[str, Labels] = {}
    for names in [*([tweets] if tweets else []), *([name] for name in corpora if name not in tweets)]:
        probe = Probe(
            np.concatenate([read[name][0] for name in names]),
            np.concatenate([_labels(learnt[name]) for name in names]),
        )
        found |= {name: probe.logits(read[name][1]).argmax(axis=1) for name in names}
    return found


def _ours(engine: InferenceEngine, examples_: Sequence[Example]) -> Labels:
    """The network's guesses, between the classes that the corpus has."""
    present = np.bincount(_labels(examples_), minlength=NUM_CLASSES) > 0
    results = [
        result
        for start in range(0, len(examples_), 256)
        for result in engine.score([Request(n, each.text) for n, each in enumerate(examples_[start : start + 256])])
    ]
    found: Labels = np.where(present, [result.probabilities for result in results], -1).argmax(axis=1)
    return found


def _labels(examples_: Sequence[Example]) -> Labels:
    return np.array([each.label for each in examples_], np.intp)


def _of(guesses: Labels, labels: Labels) -> str:
    """Accuracy and macro-F1 as two cells."""
    confusion = np.zeros((NUM_CLASSES, NUM_CLASSES), np.int_)
    np.add.at(confusion, (labels, guesses), 1)
    present = np.flatnonzero(confusion.sum(axis=1)).tolist()
    return f"{(guesses == labels).mean():.1%} | {macro_f1(confusion, present):.3f}"


if __name__ == "__main__":
    app(prog_name="python -m benchmarks.frontier.by_language")
