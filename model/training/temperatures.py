"""Fits the temperatures, on texts whose labels the text network has not seen (see `calibration.py`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from model.training.batches import ABSENT, EncodedTexts
from model.training.fit import TrainingRun, corpus_loss, read_texts

SHRINKAGE = 1e-3  # of the temperature's weights: on few texts, all classified correctly, it would go to zero
CANDIDATES = np.linspace(-1, 2, 301)  # of a language's log temperature
DEVIATION = 0.3  # of languages' log temperatures, about what they differ by beyond what few texts leave to chance


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
def fit_by_language(run: TrainingRun, languages: Mapping[str, Sequence[EncodedTexts]]) -> dict[str, float]:
    """What to add to the log temperature in each language, given the held texts of its corpora.

    It has the least loss of the probabilities as they are served, without class shares; corpora weigh the same. A
    normal prior keeps it near zero where texts are few.
    """
    found = {}
    for language, corpora in languages.items():
        read = [_served_logits(run, texts) for texts in corpora]
        num_texts = sum(map(len, corpora))
        losses = [
            sum(float(torch.nn.functional.cross_entropy(logits / np.exp(added), targets)) for logits, targets in read)
            / len(read)
            + (added / DEVIATION) ** 2 / 2 / num_texts
            for added in CANDIDATES
        ]
        found[language] = round(float(CANDIDATES[np.argmin(losses)]), 2)
    if found:
        run.folder.log("temperature by language", 0, **found)
    return found


def _served_logits(run: TrainingRun, texts: EncodedTexts) -> tuple[Tensor, Tensor]:
    """The (texts, classes) logits by the temperature of their length, those of absent classes far below; targets."""
    logits = read_texts(run.network, texts)[1] / run.network.temperature(torch.tensor([len(ids) for ids in texts.ids]))
    absent = torch.from_numpy(texts.log_prior) < ABSENT / 2
    return logits.masked_fill(absent, ABSENT), torch.from_numpy(texts.targets)
