"""A training of many languages that takes seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from model.training.multilingual.train_languages import train_languages
from model.training.multilingual.vocabulary import VocabularySizes
from tests.unit.model.training.train_languages.toy_languages import Encoder

CHANGES = {"epochs": 4, "batch_tokens": 600, "learning_rate": 1e-2, "warmup_steps": 5, "stream_epochs": 2}
CHANGES |= {"held_topics": 0.4, "phrase_variants": 1, "max_sentences": 50}


def train(english: Path, data: Path, run: Path, **changes: Any) -> Path:
    arguments: dict[str, Any] = {
        "changes": CHANGES,
        "load_encoder": Encoder,
        "sizes": VocabularySizes(words=50, continuations=40),
    }
    return train_languages(english, data, run, show_progress=False, **arguments | changes)
