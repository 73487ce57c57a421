"""Training of the small classifiers of the literature (`classifier_network.py`).

`train_classifier` trains by Adam on padded ids (`vocabulary.py`) and measures the accuracy on the test texts, batch by
batch and overall. It saves its state now and then, and an interrupted run resumes to exactly the same result.

steps.safetensors    the last saved state
test_batches.json    the accuracy on each batch of test texts, in order
network.safetensors  the trained network, without a frozen embedding
vocabulary.txt       the words of the embedding's rows after the special ones
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor
from torch.nn.functional import cross_entropy

from model.baselines.baseline import OnProgress
from model.baselines.classifiers.classifier_network import NUM_CLASSES, ClassifierConfig, TextClassifier
from model.baselines.classifiers.vocabulary import Ids, Words
from model.baselines.outcome import Outcome, Point
from model.errors import ConfigError
from model.evaluation.evaluate import macro_recall
from model.files import keep_whole, write_whole
from model.training_loop import TrainingLoop

NUM_POINTS, LEAST_STEPS = 50, 10  # most points of the curve, and fewest steps between two; the state is saved at each
STEPS = "steps.safetensors"


class PaddedTexts(NamedTuple):
    """Texts as padded ids, and their classes."""

    ids: Ids  # (texts, words)
    targets: NDArray[np.int64]  # (texts,)


class Dataset(NamedTuple):
    """Training and test texts."""

    train: PaddedTexts
    test: PaddedTexts


def train_classifier(
    network: TextClassifier, texts: Dataset, config: ClassifierConfig, folder: Path, on_progress: OnProgress
) -> Outcome:
    """Train, going on from the step that the folder holds, and measure."""
    test = texts.test
    seconds, curve = _fit(network, texts.train, config, folder, on_progress)
    on_progress(1.0, "test")
    guesses = classify(network, test.ids, config.batch_texts)
    batches = [
        float((guesses[rows] == test.targets[rows]).mean())
        for rows in np.split(np.arange(len(guesses)), range(config.batch_texts, len(guesses), config.batch_texts))
    ]
    write_whole(folder / "test_batches.json", json.dumps(batches).encode())
    write_whole(folder / "network.safetensors", save({name: tensor.data for name, tensor in network.trained().items()}))
    confusion = np.zeros((NUM_CLASSES, NUM_CLASSES), int)
    np.add.at(confusion, (test.targets, guesses), 1)
    return Outcome(
        figures={
            "test accuracy": float((guesses == test.targets).mean()),
            "test macro recall": macro_recall(confusion, range(NUM_CLASSES)),
            "lowest batch accuracy": min(batches),
            "highest batch accuracy": max(batches),
        },
        num_parameters=sum(parameter.numel() for parameter in network.parameters()),
        seconds=seconds,
        curve=curve,
    )


@torch.no_grad()
def classify(network: TextClassifier, ids: Ids, batch_texts: int) -> NDArray[np.int64]:
    """The predicted classes, (texts,), for ids, (texts, words)."""
    network.eval()
    found = [network(torch.from_numpy(ids[i : i + batch_texts])).argmax(dim=1) for i in range(0, len(ids), batch_texts)]
    network.train()
    return torch.cat(found).numpy()


def keep_vocabulary(folder: Path, words: Words) -> None:
    """Write the vocabulary. Raises ConfigError if the run began with another one, whose rows mean other words."""
    if not keep_whole(folder / "vocabulary.txt", "\n".join(words).encode()):
        raise ConfigError(f"{folder} holds a run that began with other texts or vectors; choose another directory")


def _fit(
    network: TextClassifier, train: PaddedTexts, config: ClassifierConfig, folder: Path, on_progress: OnProgress
) -> tuple[float, tuple[Point, ...]]:
    """The processor time that the training took, in seconds, and its curve."""
    torch.set_num_threads(config.threads)
    optimizer = torch.optim.Adam(network.trained().values(), lr=config.learning_rate)
    loop = TrainingLoop(network.trained(), optimizer, clipping=config.clipping, seed=config.seed)
    progress: Any = loop.load(folder / STEPS) or (0.0, [])
    seconds: float = progress[0]
    curve: list[tuple[int, float, float]] = progress[1]
    plan = _batches(len(train.ids), config)
    point_steps = max(LEAST_STEPS, -(-len(plan) // NUM_POINTS))
    began = time.process_time() - seconds
    accuracies: list[float] = []

    def loss_of(rows: NDArray[np.int64]) -> Tensor:
        targets = torch.from_numpy(train.targets[rows])
        logits = network(torch.from_numpy(train.ids[rows]))
        accuracies.append((logits.argmax(dim=1) == targets).double().mean().item())
        return cross_entropy(logits, targets)

    losses: list[float] = []
    for found in loop.run(plan[loop.num_done :], loss_of):
        losses.append(found)
        if loop.num_done % point_steps and loop.num_done != len(plan):
            continue
        loss, accuracy, seconds = float(np.mean(losses)), float(np.mean(accuracies)), time.process_time() - began
        curve.append((loop.num_done, loss, accuracy))
        loop.save(folder / STEPS, (seconds, curve))
        on_progress(loop.num_done / len(plan), f"loss {loss:.3f}, accuracy {accuracy:.1%}")
        losses.clear()
        accuracies.clear()
    return seconds, tuple(Point(*point) for point in curve)


def _batches(num_texts: int, config: ClassifierConfig) -> list[NDArray[np.int64]]:
    """The rows of every step, in another order in each epoch."""
    bounds = range(config.batch_texts, num_texts, config.batch_texts)
    orders = (np.random.default_rng((config.seed, epoch)).permutation(num_texts) for epoch in range(config.epochs))
    return [batch for order in orders for batch in np.split(order, bounds)]
