"""`lm`: a language model that predicts the next word, trained on any text file.

The recipe is that of Zaremba et al. 2014, "Recurrent Neural Network Regularization". The text is cut into as many
columns as a batch has rows; they are read side by side, `num_steps` tokens per step. The LSTM's state passes from step
to step, gradients do not (truncated back-propagation through time). Dropout is everywhere but in the recurrence.

The end of the text is held out. Perplexity is exp of the mean cross-entropy of its words; words outside the vocabulary
are left out and counted separately.

A text that is too short for one batch is read line by line, each from the empty state, and nothing of it is held out:
its perplexity tells how well it is known by heart.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from model.baselines.baseline import Baseline, BaselineConfig, OnProgress
from model.baselines.outcome import Outcome, Point
from model.baselines.sequences import IGNORED, columns_of, lines_of, windows_of
from model.baselines.word_model import LINE, SPECIAL, UNKNOWN, NextWordNetwork, WordModel, make_words, tokens_of
from model.data.phrases import make_phrases
from model.errors import DataError
from model.files import keep_whole
from model.training_loop import SEED_STRIDE, TrainingLoop

READ_STEPS = 256  # tokens read at a time in evaluation
MIN_HELD = 2  # tokens, of which the first predicts the second
SHORT_TEXT = "too short for a batch: read line by line, and the perplexity is that of the text itself"
EPOCHS, VOCABULARY = "epochs.safetensors", "vocabulary.txt"


@dataclass(frozen=True, kw_only=True)
class NextWordConfig(BaselineConfig):
    """Hyperparameters of `lm`."""

    text: str = ""  # text file in UTF-8; if empty, phrases of the grammar
    num_phrases: int = 4000  # if there is no file
    max_words: int = 20_000  # largest size of the vocabulary
    min_count: int = 1  # of a word of the vocabulary
    held_share: float = 0.1  # share of the text that is held out at its end
    embedding_size: int = 128
    hidden_size: int = 256
    num_layers: int = 1
    dropout: float = 0.2
    batch_size: int = 16
    num_steps: int = 32
    epochs: int = 5
    learning_rate: float = 2e-3
    clip: str = "global-norm"

    zero_allowed: ClassVar[frozenset[str]] = BaselineConfig.zero_allowed | {"dropout", "held_share"}

    def problems(self) -> list[str]:
        """A message for every value that is out of range."""
        problems = BaselineConfig.problems(self)
        problems += [f"{name} must be below 1" for name in ("dropout", "held_share") if getattr(self, name) >= 1]
        if self.max_words <= len(SPECIAL):
            problems.append(f"max_words must be above {len(SPECIAL)}")
        return problems


def run(config: NextWordConfig, data: Path | None, folder: Path, on_progress: OnProgress) -> Outcome:
    """Train on the text, going on from the epoch that the folder holds; `data` is not read."""
    torch.set_num_threads(config.threads)
    tokens = tokens_of(read_lines(Path(config.text)) if config.text else _phrases(config))
    if not tokens:
        raise DataError(f"{config.text}: has no words")
    num_held = int(len(tokens) * config.held_share)
    is_short = num_held < MIN_HELD or len(tokens) - num_held < config.batch_size * (config.num_steps + 1)
    num_train = len(tokens) if is_short else len(tokens) - num_held
    words = make_words(tokens[:num_train], config.min_count, config.max_words)
    torch.manual_seed(config.seed)
    sizes = config.embedding_size, config.hidden_size, config.num_layers
    model = WordModel(words, NextWordNetwork(len(words), *sizes, config.dropout))
    train = torch.tensor(model.encode(tokens[:num_train]))
    held = train if is_short else torch.tensor(model.encode(tokens[num_train:]))
    line = words.index(LINE)
    sequences = lines_of(train, line, config.batch_size) if is_short else [columns_of(train, config.batch_size)]
    measured = lines_of(held, line, config.batch_size) if is_short else [held[None]]

    before = perplexity(model, measured)
    training = _Training(model, config, folder)
    while training.num_epochs < config.epochs:
        point = training.run_epoch(sequences)
        on_progress(
            training.num_epochs / config.epochs, f"loss {point.loss:.3f}, perplexity {math.exp(point.loss):.1f}"
        )
    model.save(folder)
    source = config.text or "no file: phrases of the project's own grammar"
    learnt = (
        f"{num_train:,} tokens to learn from, {'none' if is_short else f'{num_held:,}'} held out, {len(words):,} words"
    )
    return Outcome(
        figures={
            "perplexity": perplexity(model, measured),
            "perplexity untrained": before,
            "share of unknown words": float((held == words.index(UNKNOWN)).double().mean()),
        },
        num_parameters=sum(parameter.numel() for parameter in model.network.parameters()),
        seconds=training.seconds,
        curve=tuple(training.curve),
        notes=(f"{source}; {learnt}", *([SHORT_TEXT] if is_short else [])),
    )


def read_lines(file: Path) -> list[str]:
    """The lines of a text file. Raises DataError if it is missing, empty or not text in UTF-8."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}; text=FILE names a text file") from error
    if not content.strip():
        raise DataError(f"{file}: is empty")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: byte {error.start} is not UTF-8: convert the file, if it is text") from error
    if "\0" in text:
        raise DataError(f"{file}: is binary, not text (byte {content.index(0)} is zero)")
    return text.splitlines()


@torch.no_grad()
def perplexity(model: WordModel, sequences: Sequence[Tensor]) -> float:
    """Perplexity of ids, each tensor (batch, time), read from the empty state.

    Unknown words and what fills a batch up are read, but not counted.
    """
    model.network.eval()
    unknown = model.words.index(UNKNOWN)
    loss, num_known = 0.0, 0
    for ids in sequences:
        state = None
        for inputs, targets in windows_of(ids, READ_STEPS):
            logits, state = model.network(inputs, state)
            known = targets.masked_fill(targets == unknown, IGNORED)
            loss += cross_entropy(logits.flatten(0, 1), known.flatten(), reduction="sum").item()
            num_known += int((known != IGNORED).sum())
    return math.exp(loss / num_known) if num_known else math.inf


class _Training:
    """A training in progress."""

    def __init__(self, model: WordModel, config: NextWordConfig, folder: Path) -> None:
        """Go on where `folder` stands. Raises DataError where that run began with another text."""
        self._model, self._config, self._file = model, config, folder / EPOCHS
        optimizer = torch.optim.Adam(model.network.parameters(), lr=config.learning_rate)
        self._loop = TrainingLoop(model.network.state_dict(), optimizer, clipping=config.clipping)
        self._check_words(folder / VOCABULARY)
        progress = self._loop.load(self._file) or {"seconds": 0.0, "curve": []}
        self.seconds: float = progress["seconds"]
        self.curve = [Point(*point) for point in progress["curve"]]

    @property
    def num_epochs(self) -> int:
        """Epochs that are done; each has left a point."""
        return len(self.curve)

    def run_epoch(self, sequences: Sequence[Tensor]) -> Point:
        """Read the sequences, each (batch, time), once from the empty state, and save where the training stands."""
        began = time.process_time()
        torch.manual_seed(self._config.seed * SEED_STRIDE + self.num_epochs)  # so that the dropout repeats exactly
        self._model.network.train()
        state: Tensor | None = None
        losses, num_right, num_tokens = 0.0, 0, 0

        def windows() -> Iterator[tuple[Tensor, Tensor]]:
            nonlocal state
            for ids in sequences:
                state = None
                yield from windows_of(ids, self._config.num_steps)

        def loss_of(window: tuple[Tensor, Tensor]) -> Tensor:
            nonlocal state, losses, num_right, num_tokens
            inputs, targets = window
            logits, state = self._model.network(inputs, None if state is None else state.detach())
            loss = cross_entropy(logits.flatten(0, 1), targets.flatten())
            num_counted = int((targets != IGNORED).sum())
            num_tokens += num_counted
            losses += loss.item() * num_counted
            num_right += int((logits.argmax(dim=2) == targets).sum())
            return loss

        for _ in self._loop.run(windows(), loss_of):
            pass
        self.seconds += time.process_time() - began
        self.curve.append(Point(self._loop.num_done, losses / num_tokens, num_right / num_tokens))
        self._loop.save(self._file, {"seconds": self.seconds, "curve": self.curve})
        return self.curve[-1]

    def _check_words(self, file: Path) -> None:
        """The rows of a saved network have the meaning of the words that it began with."""
        if not keep_whole(file, "\n".join(self._model.words).encode()):
            raise DataError(f"{file.parent} holds a run that began with another text; choose another directory")


def _phrases(config: NextWordConfig) -> list[str]:
    return [phrase.text for phrase in make_phrases(config.seed, config.num_phrases)]


BASELINES = (
    Baseline(
        name="lm",
        description="next word of any text file: LSTM, full softmax; completes prompts",
        metric="perplexity",
        published=None,
        source="Zaremba et al. 2014, Recurrent Neural Network Regularization",
        config=NextWordConfig(),
        quick={"num_phrases": 600, "embedding_size": 32, "hidden_size": 32, "batch_size": 8, "num_steps": 16}
        | {"learning_rate": 1e-2},
        run=run,
    ),
)
