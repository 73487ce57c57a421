"""The sizes of a network and the hyperparameters of its training: frozen, and validated when they are made."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from model.clipping import KINDS as CLIPPINGS
from model.clipping import Clipping
from model.errors import ConfigError

LABELS = ("negative", "neutral", "positive")
NUM_CLASSES = len(LABELS)
NUM_POOLED = 3  # last, elementwise maximum and mean of the hidden states
NUM_GATES = 4  # input, forget, cell, output: the order of torch.nn.LSTM


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Sizes of the network, and the bound of its stream. Raises ConfigError with every value that is out of range."""

    num_words: int = 30_000  # words of the vocabulary
    num_buckets: int = 2048  # rows shared by unknown words, chosen by hash
    embedding_size: int = 256
    hidden_size: int = 256  # of the word LSTM
    summary_size: int = 24  # of what the stream LSTM sees of a text
    stream_size: int = 32  # of the stream LSTM
    stream_bound: float | None = 1.0  # most that a stream adds to a logit: see `bound.py`; None: no bound

    def __post_init__(self) -> None:
        sizes = [field.name for field in fields(self) if field.name != "stream_bound"]
        _refuse(
            [f"{name} must be a whole number above 0" for name in sizes if not self._counts(name)]
            + ["stream_bound must be above 0 and finite, or null"] * (not self._has_valid_bound())
        )

    def _counts(self, name: str) -> bool:
        value = getattr(self, name)
        return type(value) is int and value > 0

    def _has_valid_bound(self) -> bool:
        bound = self.stream_bound
        return bound is None or (type(bound) in {int, float} and 0 < bound < math.inf)

    @property
    def num_rows(self) -> int:
        """Rows of the embedding: the words, then the buckets."""
        return self.num_words + self.num_buckets

    @property
    def pooled_size(self) -> int:
        """Length of the summary z = [last; max; mean] of a text."""
        return NUM_POOLED * self.hidden_size

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor of a checkpoint."""
        hidden, stream, summary = self.hidden_size, self.stream_size, self.summary_size
        return {
            "word.embedding.weight": (self.num_rows, self.embedding_size),
            "word.lstm.weight_ih": (NUM_GATES * hidden, self.embedding_size),
            "word.lstm.weight_hh": (NUM_GATES * hidden, hidden),
            "word.lstm.bias": (NUM_GATES * hidden,),
            "readout.weight": (NUM_CLASSES, self.pooled_size),
            "readout.bias": (NUM_CLASSES,),
            "stream.summary.weight": (summary, self.pooled_size),
            "stream.summary.bias": (summary,),
            "stream.lstm.weight_ih": (NUM_GATES * stream, summary + NUM_CLASSES),
            "stream.lstm.weight_hh": (NUM_GATES * stream, stream),
            "stream.lstm.bias": (NUM_GATES * stream,),
            "stream.readout.weight": (NUM_CLASSES, stream),
            "calibration.log_temperature": (2,),  # see `calibration.py`
        }

    def tensor_problems(self, tensors: Mapping[str, NDArray[Any]]) -> list[str]:
        """What is wrong with the tensors of a checkpoint: names, shapes, types, and numbers that are not finite."""
        shapes = self.tensor_shapes()
        problems = [f"{name} is missing" for name in sorted(shapes.keys() - tensors.keys())]
        problems += [f"{name} is unknown" for name in sorted(tensors.keys() - shapes.keys())]
        for name in sorted(shapes.keys() & tensors.keys()):
            tensor = tensors[name]
            if tensor.shape != shapes[name]:
                problems.append(f"{name} has shape {tensor.shape}, the sizes say {shapes[name]}")
            elif tensor.dtype not in (np.float16, np.float32):
                problems.append(f"{name} is {tensor.dtype}, not float16 or float32")
            elif not np.isfinite(tensor).all():
                problems.append(f"{name} holds numbers that are not finite")
        return problems

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """From plain data. Raises ConfigError, also where a value is missing or unknown."""
        known = {field.name for field in fields(cls)}
        _refuse(
            [f"{name} is unknown" for name in sorted(values.keys() - known)]
            + [f"{name} is missing" for name in sorted(known - values.keys())]
        )
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Understanding:
    """What a network understands: see `understanding.py`. Raises ConfigError with every value that is out of range."""

    languages: tuple[str, ...] = ("en",)  # that it reads: codes of ISO 639-1
    min_known: float = 0.7  # share of a text's tokens that it has to know
    min_language_confidence: float = 0.5  # from which another language is a reason not to rely on it

    def __post_init__(self) -> None:
        shares = ("min_known", "min_language_confidence")
        _refuse(
            ["languages must be codes of two letters"]
            * (not self.languages or not all(re.fullmatch("[a-z]{2}", str(code)) for code in self.languages))
            + [f"{name} must be between 0 and 1" for name in shares if not self._is_share(getattr(self, name))]
        )

    @staticmethod
    def _is_share(value: object) -> bool:
        return type(value) in {int, float} and 0 <= float(str(value)) <= 1

    @classmethod
    def from_dict(cls, values: Any) -> Self:
        """From plain data. Raises ConfigError, also where a value is missing or unknown."""
        if not isinstance(values, dict) or values.keys() != {field.name for field in fields(cls)}:
            raise ConfigError(f"understanding must have {', '.join(field.name for field in fields(cls))}")
        languages = values["languages"]
        if not isinstance(languages, list):
            raise ConfigError("languages must be a list")
        return cls(**values | {"languages": tuple(languages)})


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Hyperparameters of training. Raises ConfigError with every value that is out of range."""

    epochs: int = 6
    label_share: float = 0.5  # of the label in a labelled text's target; the rest is the soft target
    label_smoothing: float = 0.1  # of a label, spread over the classes of its corpus
    batch_tokens: int = 12_800  # most tokens of a batch
    batch_texts: int = 128  # most texts of a batch
    max_tokens: int = 300  # of a text; longer ones keep their end
    learning_rate: float = 1.5e-3
    warmup_steps: int = 60  # the rate rises over these, then falls linearly to zero
    clip: str = "global-norm"  # of the gradients: a kind of model.clipping
    clip_at: float = 1.0
    dropout_embedding: float = 0.1
    dropout_word: float = 0.05  # whole words
    dropout_output: float = 0.2
    language_epochs: int = 3  # of the language model, which the word LSTM starts from
    language_learning_rate: float = 3e-3
    language_rows: int = 64  # rows of joined texts, side by side
    language_tokens: int = 100  # of a row in a step: the length of back-propagation through time
    language_sampled: int = 1024  # sampled words in the softmax, beside the true one
    language_tweets: int = 3  # repetitions of a tweet in an epoch: tweets are few beside the reviews
    max_sentences: int = 250_000  # of reviews, for which the teacher gives soft targets
    tweet_variants: int = 4  # augmented versions of each tweet
    phrase_variants: int = 8  # of each labelled phrase
    stream_epochs: int = 10
    stream_learning_rate: float = 3e-3
    stream_reset: float = 0.05  # chance that a stream is reset before a text
    stream_shuffled: float = 0.3  # share of the sequences whose texts belong to no stream
    dev_share: float = 0.2  # of the films: never trained on
    all_films: bool = False  # train on the dev films as well: see `train_on_all_films`
    held_share: float = 0.1  # of the films: their labels are kept for the stream cell and the temperatures
    held_topics: float = 0.3  # of the topics of tweets, likewise
    held_texts: float = 0.05  # of the sentences and tweets, for the temperatures
    split_seed: int = 0  # of these shares
    seed: int = 1
    threads: int = 1

    def __post_init__(self) -> None:
        whole: tuple[str, ...] = ("epochs", "batch_tokens", "batch_texts", "max_tokens", "threads")
        whole += ("language_rows", "language_tokens", "language_sampled", "language_tweets")
        not_negative: tuple[str, ...] = ("warmup_steps", "language_epochs", "stream_epochs", "seed", "split_seed")
        not_negative += ("max_sentences", "tweet_variants", "phrase_variants")
        positive = ("learning_rate", "language_learning_rate", "stream_learning_rate", "clip_at")
        chances = (
            "label_share",
            "label_smoothing",
            "dropout_embedding",
            "dropout_word",
            "dropout_output",
            "stream_reset",
            "stream_shuffled",
        )
        shares = ("dev_share", "held_share", "held_topics", "held_texts")
        _refuse(
            [f"{name} must be at least 1" for name in whole if not getattr(self, name) >= 1]
            + [f"{name} must not be negative" for name in not_negative if not getattr(self, name) >= 0]
            + [f"{name} must be above 0" for name in positive if not getattr(self, name) > 0]
            + [f"{name} must be at least 0 and below 1" for name in chances if not 0 <= getattr(self, name) < 1]
            + [f"{name} must be above 0 and below 0.5" for name in shares if not 0 < getattr(self, name) < 0.5]
            + [f"clip must be one of {', '.join(CLIPPINGS)}"] * (self.clip not in CLIPPINGS)
        )

    @property
    def clipping(self) -> Clipping:
        """The clipping of a step's gradients."""
        return Clipping(self.clip, self.clip_at)


def _refuse(problems: list[str]) -> None:
    if problems:
        raise ConfigError("; ".join(problems))
