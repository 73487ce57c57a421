"""Text to sentiment: tokens, an LSTM whose state outlives the text, probabilities. Knows no Kafka and no Redis.

What is named here is all that may be used from outside. What serving does without, such as training, which needs
torch, is imported when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from model.behaviour.phrases import phrase_in, phrase_languages
from model.checkpoint import load_checkpoint
from model.config import LABELS, ModelConfig, TrainConfig, Understanding
from model.data.corpora import Example, read_examples
from model.data.phrases import Phrase, PhraseGrammar, make_phrases
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
from model.evaluation.by_language import LANGUAGE_HEADINGS, rows_by_language, tweets_line
from model.evaluation.evaluate import Evaluation, Row, evaluate_checkpoint
from model.evaluation.turns import Turn
from model.inference.batch import Request
from model.inference.engine import InferenceEngine, Result
from model.inference.languages.identifier import Language
from model.inference.state import OpenText, StreamState
from model.inference.understanding import NotUnderstood
from model.inference.words import Word
from model.reference import ReferenceNetwork
from model.sentiment import Sentiment, Stream, load
from model.trace import GATES, Trace, Tracer, TraceStep

if TYPE_CHECKING:
    from model.baselines import BASELINES, Baseline, Outcome, find_baseline, run_baseline
    from model.baselines.plain_numpy.chars import Speller
    from model.baselines.table import System, compare_baselines
    from model.baselines.word_model import WordModel
    from model.behaviour.corpus import write_behaviour_corpus
    from model.evaluation.behaviour import Behaviour, KindFigures, measure_behaviour
    from model.evaluation.compare import Compared, compare_checkpoints
    from model.evaluation.explain import Deletion, measure_named_words
    from model.training.all_films import train_on_all_films
    from model.training.multilingual.train_languages import train_languages
    from model.training.train import train_checkpoint
    from model.vectors.neighbours import Neighbour, neighbours, read_vocabulary
    from model.vectors.vector_files import WordVectors, load_vectors
    from model.vectors.word2vec import read_texts, train_vectors

__all__ = [
    "BASELINES",
    "GATES",
    "LABELS",
    "LANGUAGE_HEADINGS",
    "Baseline",
    "Behaviour",
    "CheckpointError",
    "Compared",
    "ComparisonError",
    "ConfigError",
    "DataError",
    "Deletion",
    "Evaluation",
    "Example",
    "InferenceEngine",
    "KindFigures",
    "Language",
    "ModelConfig",
    "ModelError",
    "Neighbour",
    "NotUnderstood",
    "OpenText",
    "Outcome",
    "Phrase",
    "PhraseGrammar",
    "ReferenceNetwork",
    "Request",
    "Result",
    "Row",
    "Sentiment",
    "Speller",
    "StateError",
    "Stream",
    "StreamState",
    "System",
    "Trace",
    "TraceStep",
    "Tracer",
    "TrainConfig",
    "Turn",
    "Understanding",
    "UnknownWordError",
    "VectorFileError",
    "Word",
    "WordModel",
    "WordVectors",
    "compare_baselines",
    "compare_checkpoints",
    "evaluate_checkpoint",
    "find_baseline",
    "load",
    "load_checkpoint",
    "load_vectors",
    "make_phrases",
    "measure_behaviour",
    "measure_named_words",
    "neighbours",
    "phrase_in",
    "phrase_languages",
    "read_examples",
    "read_texts",
    "read_vocabulary",
    "rows_by_language",
    "run_baseline",
    "train_checkpoint",
    "train_languages",
    "train_on_all_films",
    "train_vectors",
    "tweets_line",
    "write_behaviour_corpus",
]

_LAZY = {
    "BASELINES": "baselines",
    "Behaviour": "evaluation.behaviour",
    "Compared": "evaluation.compare",
    "Deletion": "evaluation.explain",
    "Neighbour": "vectors.neighbours",
    "Outcome": "baselines",
    "Baseline": "baselines",
    "KindFigures": "evaluation.behaviour",
    "Speller": "baselines.plain_numpy.chars",
    "System": "baselines.table",
    "WordModel": "baselines.word_model",
    "WordVectors": "vectors.vector_files",
    "compare_checkpoints": "evaluation.compare",
    "compare_baselines": "baselines.table",
    "find_baseline": "baselines",
    "load_vectors": "vectors.vector_files",
    "measure_behaviour": "evaluation.behaviour",
    "measure_named_words": "evaluation.explain",
    "neighbours": "vectors.neighbours",
    "read_texts": "vectors.word2vec",
    "read_vocabulary": "vectors.neighbours",
    "run_baseline": "baselines",
    "train_checkpoint": "training.train",
    "train_languages": "training.multilingual.train_languages",
    "train_on_all_films": "training.all_films",
    "train_vectors": "vectors.word2vec",
    "write_behaviour_corpus": "behaviour.corpus",
}
"""Name -> module that defines it."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = _LAZY[name]
    try:
        return getattr(import_module(f"model.{module}"), name)
    except ModuleNotFoundError as error:
        raise ModelError(f"training needs packages that serving does not ({error}): pip install '.[train]'") from error
