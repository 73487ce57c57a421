"""Text to sentiment: tokens, an LSTM whose state outlives the text, probabilities. Knows no Kafka and no Redis.

What is named here is all that may be used from outside. What serving does without, such as training, which needs
torch, is imported when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from model.checkpoint import load_checkpoint
from model.config import LABELS, ModelConfig, TrainConfig
from model.data import Example, read_examples
from model.engine import InferenceEngine, Result, Word
from model.errors import (
    CheckpointError,
    ComparisonError,
    ConfigError,
    DataError,
    ModelError,
    StateError,
    UnknownWordError,
    VectorFileError,
)
from model.evaluate import Evaluation, Row, evaluate_checkpoint
from model.phrases import Phrase, PhraseGrammar, make_phrases
from model.reading import Request
from model.reference import ReferenceNetwork
from model.state import OpenText, StreamState

if TYPE_CHECKING:
    from model.allfilms import train_on_all_films
    from model.bench.engine import measure_engine, num_bench_texts
    from model.bench.rows import Bar, BenchRow, BenchSpeed, EngineBench
    from model.compare import Compared, compare_checkpoints
    from model.explain import Deletion, measure_named_words
    from model.presets import PRESETS, Outcome, Preset, find_preset, run_preset
    from model.presets.chars import Speller
    from model.presets.table import System, compare_presets
    from model.presets.wordmodel import WordModel
    from model.train import train_checkpoint
    from model.vectorfiles import WordVectors, load_vectors
    from model.vectors import Neighbour, neighbours, read_texts, read_vocabulary, train_vectors

__all__ = [
    "LABELS",
    "PRESETS",
    "Bar",
    "BenchRow",
    "BenchSpeed",
    "CheckpointError",
    "Compared",
    "ComparisonError",
    "ConfigError",
    "DataError",
    "Deletion",
    "EngineBench",
    "Evaluation",
    "Example",
    "InferenceEngine",
    "ModelConfig",
    "ModelError",
    "Neighbour",
    "OpenText",
    "Outcome",
    "Phrase",
    "PhraseGrammar",
    "Preset",
    "ReferenceNetwork",
    "Request",
    "Result",
    "Row",
    "Speller",
    "StateError",
    "StreamState",
    "System",
    "TrainConfig",
    "UnknownWordError",
    "VectorFileError",
    "Word",
    "WordModel",
    "WordVectors",
    "compare_checkpoints",
    "compare_presets",
    "evaluate_checkpoint",
    "find_preset",
    "load_checkpoint",
    "load_vectors",
    "make_phrases",
    "measure_engine",
    "measure_named_words",
    "neighbours",
    "num_bench_texts",
    "read_examples",
    "read_texts",
    "read_vocabulary",
    "run_preset",
    "train_checkpoint",
    "train_on_all_films",
    "train_vectors",
]

_LAZY = {
    "PRESETS": "presets",
    "Bar": "bench.rows",
    "BenchRow": "bench.rows",
    "BenchSpeed": "bench.rows",
    "Compared": "compare",
    "Deletion": "explain",
    "EngineBench": "bench.rows",
    "Neighbour": "vectors",
    "Outcome": "presets",
    "Preset": "presets",
    "Speller": "presets.chars",
    "System": "presets.table",
    "WordModel": "presets.wordmodel",
    "WordVectors": "vectorfiles",
    "compare_checkpoints": "compare",
    "compare_presets": "presets.table",
    "find_preset": "presets",
    "load_vectors": "vectorfiles",
    "measure_engine": "bench.engine",
    "measure_named_words": "explain",
    "neighbours": "vectors",
    "num_bench_texts": "bench.engine",
    "read_texts": "vectors",
    "read_vocabulary": "vectors",
    "run_preset": "presets",
    "train_checkpoint": "train",
    "train_on_all_films": "allfilms",
    "train_vectors": "vectors",
}
"""Name -> module that defines it."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = _LAZY[name]
    try:
        return getattr(import_module(f"model.{module}"), name)
    except ModuleNotFoundError as error:
        what, extra = ("the bench", "bench") if module.startswith("bench.") else ("training", "train")
        raise ModelError(f"{what} needs packages that serving does not ({error}): pip install '.[{extra}]'") from error
