"""`char-rnn`: a network in plain numpy that learns to spell one word, predicting each letter from those before it.

After Karpathy 2015, "The Unreasonable Effectiveness of Recurrent Neural Networks", and his program of a hundred lines:
an RNN, a softmax over the letters, clipping by value, Adagrad (Duchi et al. 2011). Training ends when the network
spells the word on its own, reading its own predictions after the first letter.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from model.baselines.baseline import Baseline, BaselineConfig, OnProgress
from model.baselines.outcome import Outcome, Point
from model.baselines.plain_numpy.numpy_rnn import PlainRnn
from model.cells import Array
from model.errors import ConfigError
from model.files import write_whole

MAX_LETTERS = 100
STEPS_PER_POINT = 10  # of the curve


@dataclass(frozen=True, kw_only=True)
class CharConfig(BaselineConfig):
    """Hyperparameters of `char-rnn`."""

    word: str = "hello"
    hidden_size: int = 16
    min_probability: float = 0.9  # of each next letter; training ends when all have it
    max_steps: int = 2000  # of training at most
    learning_rate: float = 0.1
    clip: str = "value"
    clip_at: float = 5.0

    def problems(self) -> list[str]:
        """A message for every value that is out of range."""
        problems = BaselineConfig.problems(self)
        if len(self.word) < 2:
            problems.append(f"word must have at least 2 letters, so that one follows another, not {self.word!r}")
        elif len(self.word) > MAX_LETTERS:
            problems.append(f"word must have at most {MAX_LETTERS} letters, not {len(self.word)}")
        elif not self.word.isprintable():
            problems.append(f"word must consist of printable letters, not {self.word!r}")
        if not 0.5 < self.min_probability < 1:
            problems.append("min_probability must be above 0.5, so that no other letter is likelier, and below 1")
        return problems


class Step(NamedTuple):
    """One step of the forward pass: a letter is read, and the next one is predicted."""

    letter: str
    hidden: Array  # (cells,): tanh(W_ih x + b_ih + W_hh h + b_hh), where h is that of the previous step
    logits: Array  # (letters,)
    probabilities: Array  # (letters,): softmax of the logits
    guess: str
    target: str  # the next letter of the word


@dataclass(frozen=True, slots=True)
class Speller:
    """A network and the word that it learns to spell."""

    word: str
    network: PlainRnn

    @classmethod
    def load(cls, run_dir: Path) -> Self:
        """The network of a finished run of `char-rnn`. Raises ConfigError if the directory has none."""
        try:
            config = json.loads((run_dir / "config.json").read_bytes())
            return cls(config["word"], PlainRnn.from_tensors(load_file(run_dir / "network.safetensors")))
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise ConfigError(f"{run_dir}: holds no finished run of char-rnn") from error

    @property
    def letters(self) -> list[str]:
        """The letters of the word, sorted; a letter's index is its id."""
        return sorted(set(self.word))

    def forward_steps(self) -> Iterator[Step]:
        """Read all letters but the last, with the arithmetic of each step written out."""
        layer, letters = self.network.layer, self.letters
        hidden = np.zeros(len(layer.weight_hh))
        for letter, target in pairwise(self.word):
            x = np.zeros(len(letters))
            x[letters.index(letter)] = 1
            hidden = np.tanh(layer.weight_ih @ x + layer.bias_ih + layer.weight_hh @ hidden + layer.bias_hh)
            logits = self.network.readout @ hidden + self.network.bias
            shares = np.exp(logits - logits.max())
            probabilities = shares / shares.sum()
            yield Step(letter, hidden, logits, probabilities, letters[int(probabilities.argmax())], target)

    def spell(self) -> str:
        """As many letters as the word has: its first one, then predictions, each from the ones before it."""
        letters = self.letters
        spelt, state = [letters.index(self.word[0])], None
        while len(spelt) < len(self.word):
            forward = self.network.read(spelt[-1:], state)
            spelt.append(int(forward.logits[-1].argmax()))
            state = forward.run.states[-1]
        return "".join(letters[number] for number in spelt)


def run(config: CharConfig, data_dir: Path | None, run_dir: Path, on_progress: OnProgress) -> Outcome:
    """Train until the network spells the word, at most `max_steps`; `data_dir` is not read."""
    started = time.process_time()
    num_letters = len(set(config.word))
    network = PlainRnn.random(num_letters, config.hidden_size, num_letters, np.random.default_rng(config.seed))
    speller = Speller(config.word, network)
    curve = tuple(_train(speller, config, on_progress))
    write_whole(run_dir / "network.safetensors", save(network.tensors()))
    spelt, num_steps = speller.spell(), curve[-1].step
    note = f"spells {spelt!r} after {num_steps} steps"
    if spelt != config.word:
        note += f", not {config.word!r}: raise max_steps or hidden_size, or try another seed"
    num_right = sum(one == other for one, other in zip(spelt, config.word, strict=True))
    return Outcome(
        figures={"letters right": num_right / len(config.word), "steps": num_steps},
        num_parameters=network.num_parameters,
        seconds=time.process_time() - started,
        curve=curve,
        notes=(note,),
    )


def _train(speller: Speller, config: CharConfig, on_progress: OnProgress) -> Iterator[Point]:
    """Train until every next letter has `min_probability`, so that the network's own predictions are the word."""
    ids = [speller.letters.index(letter) for letter in speller.word]
    targets = np.eye(len(speller.letters))[ids[1:]]
    weights = speller.network.tensors()
    squares = {name: np.zeros_like(weight) for name, weight in weights.items()}  # sums of squared gradients
    for step in range(config.max_steps + 1):
        forward = speller.network.read(ids[:-1])
        found = (forward.probabilities * targets).sum(axis=1)
        is_done = step == config.max_steps or found.min() >= config.min_probability
        if is_done or step % STEPS_PER_POINT == 0:
            on_progress(step / config.max_steps, f"step {step}: spells {speller.spell()!r}")
            yield Point(step, -float(np.log(found).mean()), float((forward.logits.argmax(axis=1) == ids[1:]).mean()))
        if is_done:
            break
        gradients = speller.network.gradients(forward, (forward.probabilities - targets) / len(targets)).tensors()
        config.clipping.apply(gradients.values())
        for name, gradient in gradients.items():
            squares[name] += gradient**2
            weights[name] -= config.learning_rate * gradient / np.sqrt(squares[name] + 1e-8)


BASELINES = (
    Baseline(
        name="char-rnn",
        description="letters of a word: RNN in plain numpy that learns to spell it",
        metric="letters right",
        published=None,
        source="Karpathy 2015, The Unreasonable Effectiveness of Recurrent Neural Networks",
        config=CharConfig(),
        quick={},
        run=run,
    ),
)
