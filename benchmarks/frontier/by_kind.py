"""The command `python -m benchmarks.frontier.by_kind`: errors by kind of text, ours, VADER's and those of the encoder.

The kinds are those of `sentiment behaviour`. The encoder is multilingual-e5-small under a logistic regression that has
learnt from tweets of all languages.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from model import LABELS, DataError, ModelError
from model.behaviour.grammar import ENGLISH, JUDGING
from model.behaviour.sentences import make_sentences
from model.data.languages import FOLDER, TWEETS, read_language_corpora
from model.evaluation.behaviour import NUM_FILLINGS, SEED, measure_behaviour
from worker.cli.options import examples, expected_errors

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples("python -m benchmarks.frontier.by_kind --data DIR --vectors runs/vectors.e5"),
)
def by_kind(
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="The labelled corpora, with languages/")],
    vectors: Annotated[Path, typer.Option("--vectors", metavar="FILE", help="Where the encoder's vectors are kept")],
    checkpoint: Annotated[Path | None, typer.Option("--checkpoint", help="Folder of our network")] = None,
    max_learnt: Annotated[int, typer.Option(min=50, help="Tweets of each language to learn from")] = 2000,
    max_kinds: Annotated[int | None, typer.Option(min=1, help="Only the first kinds (default: all)")] = None,
) -> None:
    """Print the errors of all three for each kind, as a table in Markdown."""
    with expected_errors():
        try:
            from model.training.multilingual.e5 import E5  # noqa: PLC0415 - --help needs no package
            from model.training.multilingual.probe import Probe  # noqa: PLC0415
            from model.training.multilingual.vector_cache import VectorCache  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise ModelError(f"the comparison needs more packages ({error}): pip install '.[train]'") from error
        corpora = [corpus for corpus in read_language_corpora(data).values() if corpus.kind == TWEETS]
        if not corpora:
            raise DataError(f"{data / FOLDER} has no tweets")
        learnt = [example for corpus in corpora for example in corpus.train[:max_learnt]]
        sentences = list(make_sentences(JUDGING, SEED, num_fillings=NUM_FILLINGS))
        kind_of = [each.kind if each.language == ENGLISH else each.language for each in sentences]
        kinds = list(dict.fromkeys(kind_of))[:max_kinds]
        measured = measure_behaviour(checkpoint, kinds=kinds, max_failures=0)
        vectors.parent.mkdir(parents=True, exist_ok=True)
        cache = VectorCache(vectors, E5.load())
        probe = Probe(cache.vectors([each.text for each in learnt]), np.array([each.label for each in learnt], np.intp))
        chosen = [(kind, each) for kind, each in zip(kind_of, sentences, strict=True) if kind in kinds]
        guesses = probe.logits(cache.vectors([each.text for _, each in chosen])).argmax(axis=1)
        wrong = Counter(
            kind for (kind, each), guess in zip(chosen, guesses, strict=True) if LABELS[guess] != each.label
        )
        print(f"| kind | texts | {measured.name} | VADER | e5 and regression |\n|---|---|---|---|---|")
        for row in measured.kinds:
            peer = "" if row.num_wrong_peer is None else f"{row.num_wrong_peer / row.num_texts:.1%}"
            ours, encoder = row.num_wrong / row.num_texts, wrong[row.kind] / row.num_texts
            print(f"| {row.kind} | {row.num_texts:,} | {ours:.1%} | {peer} | {encoder:.1%} |")


if __name__ == "__main__":
    app(prog_name="python -m benchmarks.frontier.by_kind")
