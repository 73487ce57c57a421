"""Loads the network that the settings choose, and says what becomes of a text that it does not understand."""

from __future__ import annotations

from dataclasses import replace

from model import LABELS, InferenceEngine, Result
from worker.errors import Reason, RecordError
from worker.settings import Settings

_NEUTRAL = LABELS[1]
_EQUAL = (1 / 3, 1 / 3, 1 / 3)


def load_engine(settings: Settings) -> InferenceEngine:
    """Raises CheckpointError, and ConfigError when the device is missing or does not support the precision."""
    return InferenceEngine.load(
        settings.checkpoint,
        carry=settings.carry,
        skips_not_understood=settings.not_understood != "score",
        threads=settings.threads,
        precision=settings.precision,
        device=settings.device,
    )


def resolve_not_understood(settings: Settings, result: Result, *, final: bool) -> Result:
    """The result as the setting `not_understood` has it: as it is, or neutral at equal probabilities.

    final: whether the text ends here. Raises RecordError where the text is to become a dead letter; of a text in pieces
    only the last does, since no earlier one says what the whole is.
    """
    if result.understood or settings.not_understood == "score":
        return result
    if settings.not_understood == "neutral":
        return replace(result, label=_NEUTRAL, probabilities=_EQUAL, score=0.0, confidence=_EQUAL[0], words=[])
    if not final:
        return result
    language = f"language {result.language.code} ({result.language.confidence:.2f})"
    raise RecordError(Reason.NOT_UNDERSTOOD, f"{language}, {result.known:.0%} of the tokens are known")
