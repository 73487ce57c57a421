"""Training of the small classifiers of the literature (`classifier_network.py`).

`train_classifier` trains by Adam on padded ids (`vocabulary.py`) and measures the accuracy on the test texts, batch by
batch and overall. It saves its state now and then, and an interrupted run resumes to exactly the same result.

steps.pt             the last saved state
test_batches.json    the accuracy on each batch of test texts, in order
network.safetensors  the trained network, without a frozen embedding
vocabulary.txt       the words of the embedding's rows after the special ones
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch.nn.functional import cross_entropy

from model.baselines.baseline import OnProgress
from model.baselines.classifiers.classifier_network import NUM_CLASSES, ClassifierConfig, TextClassifier
from model.baselines.classifiers.vocabulary import Ids, Words
from model.baselines.outcome import Outcome, Point
from model.errors import ConfigError
from model.evaluation.evaluate import macro_recall
from model.files import write_whole

NUM_POINTS, LEAST_STEPS = 50, 10  # most points of the curve, and fewest steps between two; the state is saved at each
STEPS = "steps.pt"


class PaddedTexts(NamedTuple):
    """Texts as padded ids, and their classes."""

    ids: Ids  # (texts, words)
    targets: NDArray[np.int64]  # (texts,)

    def some(self, rows: NDArray[np.int64]) -> PaddedTexts:
        """The texts of the given rows."""
        return PaddedTexts(self.ids[rows], self.targets[rows])


class Dataset(NamedTuple):
    """Training and test texts."""

    train: PaddedTexts
    test: PaddedTexts


@dataclass(slots=True)
class _Progress:
    """The progress of a training, saved beside the network and the optimizer."""

    step: int = 0
    seconds: float = 0.0
    curve: list[Point] = field(default_factory=list)


def train_classifier(
    network: TextClassifier, texts: Dataset, config: ClassifierConfig, folder: Path, on_progress: OnProgress
) -> Outcome:
    """Train, going on from the step that the folder holds, and measure."""
    test = texts.test
    progress = _fit(network, texts.train, config, folder, on_progress)
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
        seconds=progress.seconds,
        curve=tuple(progress.curve),
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
    file, content = folder / "vocabulary.txt", "\n".join(words).encode()
    if not file.exists():
        write_whole(file, content)
    elif file.read_bytes() != content:
        raise ConfigError(f"{folder} holds a run that began with other texts or vectors; choose another directory")


def _fit(
    network: TextClassifier, train: PaddedTexts, config: ClassifierConfig, folder: Path, on_progress: OnProgress
) -> _Progress:
    torch.set_num_threads(config.threads)
    optimizer = torch.optim.Adam(network.trained().values(), lr=config.learning_rate)
    progress = _load(folder, network, optimizer)
    plan = _batches(len(train.ids), config)
    point_steps = max(LEAST_STEPS, -(-len(plan) // NUM_POINTS))
    began = time.process_time() - progress.seconds
    for start in range(progress.step, len(plan), point_steps):
        steps = range(start, min(start + point_steps, len(plan)))
        found = [_train_step(network, optimizer, train.some(plan[step]), config, step) for step in steps]
        loss, accuracy = np.mean(found, axis=0).tolist()
        progress.step, progress.seconds = steps.stop, time.process_time() - began
        progress.curve.append(Point(progress.step, loss, accuracy))
        _save(folder, network, optimizer, progress)
        on_progress(progress.step / len(plan), f"loss {loss:.3f}, accuracy {accuracy:.1%}")
    return progress


def _batches(num_texts: int, config: ClassifierConfig) -> list[NDArray[np.int64]]:
    """The rows of every step, in another order in each epoch."""
    bounds = range(config.batch_texts, num_texts, config.batch_texts)
    orders = (np.random.default_rng((config.seed, epoch)).permutation(num_texts) for epoch in range(config.epochs))
    return [batch for order in orders for batch in np.split(order, bounds)]


def _train_step(
    network: TextClassifier, optimizer: torch.optim.Optimizer, texts: PaddedTexts, config: ClassifierConfig, step: int
) -> tuple[float, float]:
    """Loss and accuracy of the texts of one step."""
    torch.manual_seed(config.seed * 1_000_003 + step)  # of the dropout, so that a step repeats exactly
    targets = torch.from_numpy(texts.targets)
    logits = network(torch.from_numpy(texts.ids))
    loss = cross_entropy(logits, targets)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    config.clipping.apply(
        parameter.grad.numpy() for parameter in network.trained().values() if parameter.grad is not None
    )
    optimizer.step()
    return loss.item(), (logits.argmax(dim=1) == targets).double().mean().item()


def _save(folder: Path, network: TextClassifier, optimizer: torch.optim.Optimizer, progress: _Progress) -> None:
    content = BytesIO()
    saved_progress = json.dumps(asdict(progress))
    network_state = {name: parameter.data for name, parameter in network.trained().items()}
    torch.save({"network": network_state, "optimizer": optimizer.state_dict(), "progress": saved_progress}, content)
    write_whole(folder / STEPS, content.getvalue())


def _load(folder: Path, network: TextClassifier, optimizer: torch.optim.Optimizer) -> _Progress:
    """Restore what `_save` saved; nothing where nothing is there."""
    file = folder / STEPS
    if not file.exists():
        return _Progress()
    saved = torch.load(file, weights_only=True)
    network.load_state_dict(saved["network"], strict=False)  # a frozen embedding is not saved
    optimizer.load_state_dict(saved["optimizer"])
    progress = json.loads(saved["progress"])
    return _Progress(progress["step"], progress["seconds"], [Point(*point) for point in progress["curve"]])
