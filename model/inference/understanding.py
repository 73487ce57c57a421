"""Whether the network understands a text: it knows most of its tokens, and reads its language."""

from __future__ import annotations

from typing import Literal

from model.config import NUM_CLASSES, Understanding
from model.inference.languages.identifier import Language

NotUnderstood = Literal["unknown_tokens", "language"]
CHANCE = 1 / NUM_CLASSES  # most that the label of a text that is not understood can be relied on


def known_share(num_tokens: int, num_unknown: int) -> float:
    """The share of a text's tokens that the network knows; 1 where there are none."""
    return 1 - num_unknown / num_tokens if num_tokens else 1.0


def not_understood(limits: Understanding, known: float, language: Language) -> NotUnderstood | None:
    """Why a text is not to be relied on, or None. A language of low confidence is no reason."""
    if known < limits.min_known:
        return "unknown_tokens"
    if language.confidence >= limits.min_language_confidence and language.code not in limits.languages:
        return "language"
    return None
