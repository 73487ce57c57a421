"""Short texts in many languages with known sentiment, for simulated feeds.

They are sentences of the grammar's judging half, which no training reads.
"""

from __future__ import annotations

from functools import cache
from random import Random

from model.behaviour.grammar import JUDGING, languages
from model.behaviour.sentences import make_sentences

_NUM_FILLINGS = 20
_KINDS = {"plain", "negation_near", "then_and_now", "fact", "implicit_praise", "implicit_complaint", "emoji_decides"}


def phrase_languages() -> list[str]:
    """The languages that have phrases, English first."""
    return languages()


def phrase_in(language: str, label: str, random: Random) -> str:
    """A phrase of a language and label, which `random` chooses."""
    return random.choice(_phrases(language)[label])


@cache
def _phrases(language: str) -> dict[str, list[str]]:
    """Label -> the phrases of a language, always in the same order."""
    phrases: dict[str, list[str]] = {}
    for sentence in make_sentences(JUDGING, 1, num_fillings=_NUM_FILLINGS, of_languages=[language]):
        if sentence.kind in _KINDS:
            phrases.setdefault(sentence.label, []).append(sentence.text)
    return phrases
