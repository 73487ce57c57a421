"""Fits the temperatures, on texts whose labels the text network has not seen (see `calibration.py`)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from model.config import NUM_CLASSES
from model.evaluation.calibration_error import calibration_error
from model.training.batches import ABSENT, EncodedTexts
from model.training.fit import TrainingRun, corpus_loss, read_texts

SHRINKAGE = 1e-3  # of the temperature's weights: on few texts, all classified correctly, it would go to zero
CANDIDATES = np.linspace(-1, 3, 401)  # of a language's log temperature
HALVES_SEED = 0


def fit_temperature(run: TrainingRun, held: Mapping[str, EncodedTexts]) -> None:
    """Set the temperature of least loss on texts whose labels the text network has not seen; corpora weigh the same."""
    read = [(read_texts(run.network, texts)[1].detach(), texts) for texts in held.values()]
    lengths = [torch.tensor([len(ids) for ids in texts.ids]) for _, texts in read]
    weights = run.network.log_temperature.requires_grad_()
    optimizer = torch.optim.LBFGS([weights], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        scaled = [logits / run.network.temperature(n) for (logits, _), n in zip(read, lengths, strict=True)]
        total = torch.stack(
            [corpus_loss(logits, texts, np.arange(len(texts))) for logits, (_, texts) in zip(scaled, read, strict=True)]
        ).sum()
        total += SHRINKAGE * weights.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    weights.requires_grad = False
    constant, by_length = weights.tolist()
    run.folder.log("temperature", 0, constant=constant, by_length=by_length)


@torch.no_grad()
def fit_by_language(run: TrainingRun, languages: Mapping[str, EncodedTexts]) -> dict[str, float]:
    """What to add to the log temperature in each language, given texts of it that the network has not learnt from.

    It has the least loss of the probabilities as they are served, without class shares. Since the same texts measure
    the calibration afterwards, the log says what the error is of each half by the temperature of the other.
    """
    found, errors = {}, {}
    for language, texts in languages.items():
        logits, targets = _served_logits(run, texts)
        found[language] = _least_loss(logits, targets)
        errors[language] = round(_error_by_halves(logits, targets), 3)
    if found:
        run.folder.log("temperature by language", 0, **found)
        run.folder.log("calibration error by language, each half by the temperature of the other", 0, **errors)
    return found


def _least_loss(logits: Tensor, targets: Tensor) -> float:
    """One of CANDIDATES. A standard normal prior keeps it near zero where texts are few."""
    losses = [
        float(torch.nn.functional.cross_entropy(logits / np.exp(added), targets)) + added**2 / 2 / len(targets)
        for added in CANDIDATES
    ]
    return round(float(CANDIDATES[np.argmin(losses)]), 2)


def _error_by_halves(logits: Tensor, targets: Tensor) -> float:
    order = torch.from_numpy(np.random.default_rng(HALVES_SEED).permutation(len(targets)))
    scaled = logits.clone()
    for half, other in ((order[::2], order[1::2]), (order[1::2], order[::2])):
        if len(other):
            scaled[half] /= np.exp(_least_loss(logits[other], targets[other]))
    probabilities = torch.softmax(scaled.double(), dim=1).numpy()
    return calibration_error(targets.argmax(dim=1).numpy(), probabilities, range(NUM_CLASSES))


def _served_logits(run: TrainingRun, texts: EncodedTexts) -> tuple[Tensor, Tensor]:
    """The (texts, classes) logits by the temperature of their length, those of absent classes far below; targets."""
    logits = read_texts(run.network, texts)[1] / run.network.temperature(torch.tensor([len(ids) for ids in texts.ids]))
    absent = torch.from_numpy(texts.log_prior) < ABSENT / 2
    return logits.masked_fill(absent, ABSENT), torch.from_numpy(texts.targets)
