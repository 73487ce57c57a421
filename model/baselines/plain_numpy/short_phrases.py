"""`phrases-numpy`: is a short phrase positive? An RNN in plain numpy reads its words, and its last state answers.

After Zhou 2019, "An Introduction to Recurrent Neural Networks for Beginners", whose phrases were made of 18 words
("this is not at all good"): 58 to learn from, 20 to be tested on, none in both. The grammar of `model/data/phrases.py`
gives ours, of the 20 words below, a third of them with a negation. Gradients flow back through time and are clipped by
value; each phrase is a step of descent.
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
MAX_PHRASES = 90  # of the 108 that the grammar makes of these words, so that drawing them ends soon


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

    def problems(self) -> list[str]:  # noqa: D102
        problems = BaselineConfig.problems(self)
        if self.num_train + self.num_test > MAX_PHRASES:
            problems.append(
                f"num_train and num_test must be at most {MAX_PHRASES} together: there are few such phrases"
            )
        return problems


class ShortPhrase(NamedTuple):
    """A phrase as the network takes it."""

    ids: tuple[int, ...]  # places in WORDS
    label: int  # place in CLASSES
    negated: bool


def draw_phrases(seed: int, num_phrases: int) -> list[ShortPhrase]:
    """Different phrases of the grammar that consist of WORDS alone, at most MAX_PHRASES."""
    places = {word: place for place, word in enumerate(WORDS)}
    random = Random(seed)
    grammar = PhraseGrammar(random, "film")
    drawn: dict[tuple[int, ...], ShortPhrase] = {}
    while len(drawn) < num_phrases:
        phrase = grammar.phrase(random.choice(CLASSES))
        words = phrase.text.split()
        if places.keys() >= set(words):
            ids = tuple(places[word] for word in words)
            drawn.setdefault(ids, ShortPhrase(ids, CLASSES.index(phrase.label), phrase.negated))
    return list(drawn.values())


def run(config: ShortPhraseConfig, data: Path | None, folder: Path, on_progress: OnProgress) -> Outcome:
    """Train on the first phrases drawn, and test on the others; `data` is not read."""
    started = time.process_time()
    phrases = draw_phrases(config.seed, config.num_train + config.num_test)
    train, test = phrases[: config.num_train], phrases[config.num_train :]
    rng = np.random.default_rng(config.seed)
    network = PlainRnn.random(len(WORDS), config.hidden_size, len(CLASSES), rng)
    weights, curve = network.tensors(), []
    for epoch in range(1, config.epochs + 1):
        loss, num_right = 0.0, 0
        for place in rng.permutation(len(train)):
            forward, d_logits = read_phrase(network, train[place])
            probability = forward.probabilities[-1, train[place].label]
            loss -= float(np.log(probability))
            num_right += int(probability > 0.5)
            gradients = network.gradients(forward, d_logits).tensors()
            config.clipping.apply(gradients.values())
            for name, gradient in gradients.items():
                weights[name] -= config.learning_rate * gradient
        curve.append(Point(epoch * len(train), loss / len(train), num_right / len(train)))
        on_progress(epoch / config.epochs, f"epoch {epoch}: loss {curve[-1].loss:.4f}, {curve[-1].accuracy:.1%} right")
    write_whole(folder / "network.safetensors", save(network.tensors()))
    return Outcome(
        figures={"test accuracy": accuracy(network, test), "train accuracy": accuracy(network, train)},
        num_parameters=network.num_parameters,
        seconds=time.process_time() - started,
        curve=tuple(curve),
        notes=(f"phrases of {len(WORDS)} words: {_counted(train)} to learn from, {_counted(test)} to be tested on",),
    )


def read_phrase(network: PlainRnn, phrase: ShortPhrase) -> tuple[ForwardPass, Array]:
    """The phrase as the network reads it, and the derivative of its cross-entropy by the logits (time, classes)."""
    forward = network.read(phrase.ids)
    d_logits = np.zeros_like(forward.logits)
    d_logits[-1] = forward.probabilities[-1]  # the answer is that after the last word: many to one
    d_logits[-1, phrase.label] -= 1
    return forward, d_logits


def accuracy(network: PlainRnn, phrases: Sequence[ShortPhrase]) -> float:
    """The share of the phrases that the network reads right."""
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
