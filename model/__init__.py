"""Text to sentiment: tokens, an LSTM whose state outlives the text, probabilities. Knows no Kafka and no Redis.

What is named here is all that may be used from outside. Training needs torch and is imported when it is first asked
for, so that serving does without.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from model.config import LABELS, ModelConfig, TrainConfig
from model.data import Example, read_examples
from model.engine import InferenceEngine, Result, Word
from model.errors import CheckpointError, ConfigError, DataError, ModelError, StateError
from model.evaluate import Evaluation, Row, evaluate_checkpoint
from model.phrases import Phrase, PhraseGrammar, make_phrases
from model.reading import Request
from model.reference import ReferenceNetwork
from model.state import OpenText, StreamState

if TYPE_CHECKING:
    from model.train import train_checkpoint

__all__ = [
    "LABELS",
    "CheckpointError",
    "ConfigError",
    "DataError",
    "Evaluation",
    "Example",
    "InferenceEngine",
    "ModelConfig",
    "ModelError",
    "OpenText",
    "Phrase",
    "PhraseGrammar",
    "ReferenceNetwork",
    "Request",
    "Result",
    "Row",
    "StateError",
    "StreamState",
    "TrainConfig",
    "Word",
    "evaluate_checkpoint",
    "make_phrases",
    "read_examples",
    "train_checkpoint",
]


def __getattr__(name: str) -> Any:
    if name != "train_checkpoint":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return import_module("model.train").train_checkpoint
    except ModuleNotFoundError as error:
        raise ModelError(f"training needs packages that serving does not ({error}): pip install '.[train]'") from error
