"""`phrases-numpy`: an RNN in plain numpy reads a short phrase and decides from its last state if it is positive.

After Zhou 2019, "An Introduction to Recurrent Neural Networks for Beginners", whose phrases consist of 18 words ("this
is not at all good"): 58 for training, 20 for the test, none in both. Ours come from the grammar of
`model/data/phrases.py`, restricted to the 20 words below; a third of them have a negation. Gradients flow back through
time and are clipped by value; each phrase is one step of gradient descent.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np
from safetensors.numpy import save

from model.baselines.baseline import Baseline, BaselineConfig, OnProgress
from model.baselines.outcome import Outcome, Point
from model.baselines.plain_numpy.numpy_rnn import ForwardPass, PlainRnn
from model.cells import Array
from model.config import LABELS
from model.data.phrases import PhraseGrammar
from model.files import write_whole

NEGATIVE, _, POSITIVE = LABELS
CLASSES = NEGATIVE, POSITIVE
WORDS = (
    *("the", "plot", "acting", "ending", "was", "is", "so", "very"),
    *("not", "at", "all", "never", "anything", "but", "far", "from"),
    *("great", "excellent", "bad", "terrible"),
)
MAX_PHRASES = 90  # of the grammar's 108 with these words, so that drawing distinct ones ends soon


@dataclass(frozen=True, kw_only=True)
class ShortPhraseConfig(BaselineConfig):
    """Hyperparameters of `phrases-numpy`."""

    num_train: int = 58
    num_test: int = 20
    hidden_size: int = 64
    epochs: int = 200
    learning_rate: float = 0.02
    clip: str = "value"
    clip_at: float = 1.0

    def problems(self) -> list[str]:
        """A message for every value that is out of range."""
        problems = BaselineConfig.problems(self)
        if self.num_train + self.num_test > MAX_PHRASES:
            problems.append(
                f"num_train and num_test must be at most {MAX_PHRASES} together: there are few such phrases"
            )
        return problems


class ShortPhrase(NamedTuple):
    """A phrase as input of the network."""

    ids: tuple[int, ...]  # indices in WORDS
    label: int  # index in CLASSES
    negated: bool


def draw_phrases(seed: int, num_phrases: int) -> list[ShortPhrase]:
    """Distinct phrases of the grammar that consist of WORDS; `num_phrases` is at most MAX_PHRASES."""
    indices = {word: index for index, word in enumerate(WORDS)}
    random = Random(seed)
    grammar = PhraseGrammar(random, "film")
    drawn: dict[tuple[int, ...], ShortPhrase] = {}
    while len(drawn) < num_phrases:
        phrase = grammar.phrase(random.choice(CLASSES))
        words = phrase.text.split()
        if indices.keys() >= set(words):
            ids = tuple(indices[word] for word in words)
            drawn.setdefault(ids, ShortPhrase(ids, CLASSES.index(phrase.label), phrase.negated))
    return list(drawn.values())


def run(config: ShortPhraseConfig, data_dir: Path | None, run_dir: Path, on_progress: OnProgress) -> Outcome:
    """Train on the first phrases drawn, and test on the others; `data_dir` is not read."""
    started = time.process_time()
    phrases = draw_phrases(config.seed, config.num_train + config.num_test)
    train, test = phrases[: config.num_train], phrases[config.num_train :]
    rng = np.random.default_rng(config.seed)
    network = PlainRnn.random(len(WORDS), config.hidden_size, len(CLASSES), rng)
    weights, curve = network.tensors(), []
    for epoch in range(1, config.epochs + 1):
        loss, num_right = 0.0, 0
        for index in rng.permutation(len(train)):
            forward, d_logits = read_phrase(network, train[index])
            probability = forward.probabilities[-1, train[index].label]
            loss -= float(np.log(probability))
            num_right += int(probability > 0.5)
            gradients = network.gradients(forward, d_logits).tensors()
            config.clipping.apply(gradients.values())
            for name, gradient in gradients.items():
                weights[name] -= config.learning_rate * gradient
        curve.append(Point(epoch * len(train), loss / len(train), num_right / len(train)))
        on_progress(epoch / config.epochs, f"epoch {epoch}: loss {curve[-1].loss:.4f}, {curve[-1].accuracy:.1%} right")
    write_whole(run_dir / "network.safetensors", save(network.tensors()))
    return Outcome(
        figures={"test accuracy": accuracy(network, test), "train accuracy": accuracy(network, train)},
        num_parameters=network.num_parameters,
        seconds=time.process_time() - started,
        curve=tuple(curve),
        notes=(f"phrases of {len(WORDS)} words: {_counted(train)} for training, {_counted(test)} for the test",),
    )


def read_phrase(network: PlainRnn, phrase: ShortPhrase) -> tuple[ForwardPass, Array]:
    """The forward pass over a phrase, and the derivative of its cross-entropy by the logits, (time, classes)."""
    forward = network.read(phrase.ids)
    d_logits = np.zeros_like(forward.logits)
    d_logits[-1] = forward.probabilities[-1]  # only the prediction after the last word counts
    d_logits[-1, phrase.label] -= 1
    return forward, d_logits


def accuracy(network: PlainRnn, phrases: Sequence[ShortPhrase]) -> float:
    """Share of the phrases that the network classifies correctly."""
    return float(np.mean([network.read(phrase.ids).logits[-1].argmax() == phrase.label for phrase in phrases]))


def _counted(phrases: Sequence[ShortPhrase]) -> str:
    return f"{len(phrases)} ({sum(phrase.negated for phrase in phrases)} with a negation)"


BASELINES = (
    Baseline(
        name="phrases-numpy",
        description="short phrases with negation, RNN in plain numpy, gradients by hand",
        metric="test accuracy",
        published=1.0,
        source="Zhou 2019, An Introduction to Recurrent Neural Networks for Beginners (58 and 20 phrases of his own)",
        config=ShortPhraseConfig(),
        quick={},
        run=run,
    ),
)
