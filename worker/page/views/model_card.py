"""Model: the checkpoint that reads, and how it was measured."""

from __future__ import annotations

from typing import Any, Final

from model import ModelError, load_checkpoint
from worker.page.context import PageContext
from worker.page.languages import confusion, language_markup
from worker.page.views.layout import Frame, block, heading
from worker.page.views.markup import definitions, escape, table

_STATES: Final = (
    "State: reset, each text is read from an empty state; carried, from the state of its stream; shuffled, from "
    "that of a stream of texts in random order."
)


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
    block(f'<p class="quiet">{_STATES}</p>')
    head = ("Corpus", "State", "Texts", "Accuracy", "Macro recall", "Calibration error")
    block(table("Measured on texts that training held out", head, map(_row, rows)))
    heading("By language")
    block(language_markup(rows))
    heading("Confusion by corpus")
    block("<p class=\"quiet\">In each table, rows are the texts' labels, columns the network's.</p>")
    block("".join(confusion(f"{row['corpus']}, state {row['mode']}", row["confusion"]) for row in rows))

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
