"""What a stream does to a text that differs from all before it: 30 texts of one kind, then one of another.

A clear text keeps its label whatever came before, a mild one may be tipped, and a fact stays a fact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.config import LABELS
from model.evaluation.turn_texts import TURN_TEXTS, Kind
from model.inference.batch import Request
from model.inference.engine import InferenceEngine

NUM_BEFORE = 30
NEGATIVE, NEUTRAL, POSITIVE = LABELS

LABEL_OF: dict[Kind, str] = {
    "clear_praise": POSITIVE,
    "mild_praise": POSITIVE,
    "fact": NEUTRAL,
    "mild_complaint": NEGATIVE,
    "clear_complaint": NEGATIVE,
}

_AFTER_PRAISE: tuple[Kind, ...] = ("clear_complaint", "mild_complaint", "fact")
_AFTER_COMPLAINTS: tuple[Kind, ...] = ("clear_praise", "mild_praise", "fact")
TURNS: dict[Kind, tuple[Kind, ...]] = {
    "clear_complaint": _AFTER_COMPLAINTS,
    "mild_complaint": _AFTER_COMPLAINTS,
    "clear_praise": _AFTER_PRAISE,
    "mild_praise": _AFTER_PRAISE,
    "fact": ("clear_praise", "mild_praise", "mild_complaint", "clear_complaint"),
}
"""Kind of the texts before -> kinds of the text after them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Labels of the texts of one kind, alone and at the end of a stream of another kind; all counts are of texts."""

    before: Kind  # of the NUM_BEFORE texts before
    then: Kind
    num_texts: int
    num_right: int  # alone
    num_turned: int  # of these: with another label in the stream
    num_like_before_alone: int  # labelled as the texts before are
    num_like_before: int  # likewise, in the stream


def measure_turns(engine: InferenceEngine) -> tuple[Turn, ...]:
    """The turns of every pair of kinds in TURNS. Each text ends a stream of its own, with another order before it."""
    return tuple(_measure(engine, before, then) for before, kinds in TURNS.items() for then in kinds)


def _measure(engine: InferenceEngine, before: Kind, then: Kind) -> Turn:
    texts = TURN_TEXTS[then]
    alone = [result.label for result in engine.score([Request(number, text) for number, text in enumerate(texts)])]
    after = [_label_after(engine, TURN_TEXTS[before], text, number) for number, text in enumerate(texts)]
    right = [label == LABEL_OF[then] for label in alone]
    return Turn(
        before=before,
        then=then,
        num_texts=len(texts),
        num_right=sum(right),
        num_turned=sum(label != LABEL_OF[then] for label, was_right in zip(after, right, strict=True) if was_right),
        num_like_before_alone=alone.count(LABEL_OF[before]),
        num_like_before=after.count(LABEL_OF[before]),
    )


def _label_after(engine: InferenceEngine, before: Sequence[str], text: str, seed: int) -> str:
    order = np.random.default_rng(seed).permutation(len(before))
    stream = [before[index] for index in np.resize(order, NUM_BEFORE).tolist()]
    return engine.score([Request("", one) for one in (*stream, text)])[-1].label
