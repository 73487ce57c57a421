"""Model: the checkpoint that reads, and how it was measured."""

from __future__ import annotations

from typing import Any

from model import LABELS, ModelError, load_checkpoint
from worker.page.context import PageContext
from worker.page.languages import language_markup
from worker.page.views.layout import Frame, block, heading
from worker.page.views.markup import definitions, escape, table


def model_view(context: PageContext, frame: Frame) -> None:
    """Build the view."""
    checks = block()
    try:
        checkpoint = load_checkpoint(context.settings.checkpoint)
    except ModelError as error:
        block(f"<p>{escape(error)}</p>")
        return
    config = checkpoint.config
    pairs = [("name", checkpoint.name), ("words", f"{config.num_words:,}"), ("hidden cells", str(config.hidden_size))]
    block(definitions([*pairs, ("cells of a stream", str(config.stream_size))]))
    rows: list[dict[str, Any]] = checkpoint.metrics.get("rows", [])
    heading("Accuracy and calibration")
    head = ("Corpus", "State", "Texts", "Accuracy", "Macro recall", "Calibration error")
    block(table("Measured on texts that training held out", head, map(_row, rows)))
    heading("By language")
    block(language_markup(rows))
    heading("Confusion")
    for row in rows:
        name = f"{row['corpus']}, state {row['mode']}"
        cells = ([escape(label), *map(_number, counts)] for label, counts in zip(LABELS, row["confusion"], strict=True))
        block(table(f"{name}: rows are the texts' labels, columns the network's", ("label", *LABELS), cells))

    def update() -> None:
        served = context.live.model
        if served:
            checks.set_content(f"<p>Events come from {escape(served['name'])}, {escape(served['fingerprint'])}.</p>")

    frame.every_second(update)


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    shares = (f"{row[name]:.1%}" for name in ("accuracy", "macro_recall", "calibration_error"))
    return (escape(row["corpus"]), escape(row["mode"]), _number(row["num_texts"]), *shares)


def _number(number: int) -> str:
    return f"{number:,}"
