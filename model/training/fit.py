"""Fits the text network on all corpora."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from rich.progress import Progress
from torch import Tensor
from torch.nn.functional import cross_entropy

from model.config import TrainConfig
from model.training.batches import EncodedTexts, Indices, cut_batches, epoch_batches, pad
from model.training.run_folder import RunFolder
from model.training.torch_network import SentimentNetwork
from model.training_loop import TrainingLoop, warm_up_then_decay

SAVE_EVERY = 500  # steps


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """A run in progress: its network, hyperparameters, files and progress bars."""

    network: SentimentNetwork
    config: TrainConfig
    folder: RunFolder
    progress: Progress


def fast_arithmetic() -> torch.autocast:
    """Autocast of matrix products to bfloat16 where the processor has instructions for it; weights stay in float32."""
    native = torch.cpu.get_capabilities()
    return torch.autocast("cpu", torch.bfloat16, enabled=bool(native.get("amx_bf16") or native.get("avx512_bf16")))


def fit_text_network(
    run: TrainingRun, corpora: Sequence[EncodedTexts], held: dict[str, EncodedTexts], stage: str = "text"
) -> None:
    """Train the word network and the readout, from the last saved step of `stage` on. Held texts are only measured."""
    config = run.config
    texts = reduce(operator.add, corpora)
    plan: list[Indices] = []
    for epoch in range(config.epochs):
        rng = np.random.default_rng((config.seed, epoch))
        plan += epoch_batches(np.arange(len(texts)), texts, config.batch_tokens, config.batch_texts, rng)
    parameters = [*run.network.word.parameters(), *run.network.readout.parameters()]
    optimizer = torch.optim.Adam(parameters, config.learning_rate, betas=(0.9, 0.99), fused=True)
    loop = TrainingLoop(run.network.state_dict(), optimizer, clipping=config.clipping, seed=config.seed)
    run.folder.load_step(stage, loop)

    def loss_of(rows: Indices) -> Tensor:
        tokens, lengths = pad([texts.ids[i] for i in rows])
        with fast_arithmetic():
            logits = run.network.text_logits(torch.from_numpy(tokens), torch.from_numpy(lengths))
        return corpus_loss(logits.float(), texts, rows)

    task = run.progress.add_task("text network, steps", total=len(plan), completed=loop.num_done)
    losses: list[float] = []
    for loss in loop.run(plan[loop.num_done :], loss_of, warm_up_then_decay(config.warmup_steps, len(plan))):
        losses.append(loss)
        run.progress.update(task, advance=1, description=f"text network, loss {np.mean(losses[-100:]):.3f}; steps")
        if loop.num_done % SAVE_EVERY == 0 or loop.num_done == len(plan):
            run.folder.save_step(stage, loop)
            run.folder.log(stage, loop.num_done, loss=float(np.mean(losses)), **_accuracies(run.network, held))
            losses.clear()


def corpus_loss(logits: Tensor, texts: EncodedTexts, rows: Indices) -> Tensor:
    """Mean cross-entropy of the (rows, classes) logits of `rows`, each text under the class shares of its corpus."""
    log_prior, targets = torch.from_numpy(texts.log_prior[rows]), torch.from_numpy(texts.targets[rows])
    return cross_entropy(logits + log_prior, targets)


@torch.no_grad()
def read_texts(network: SentimentNetwork, texts: EncodedTexts) -> tuple[Tensor, Tensor]:
    """(texts, 3 hidden) summaries and (texts, classes) logits, without dropout."""
    network.eval()
    z = torch.empty(len(texts), network.readout.in_features)
    order = np.argsort([len(ids) for ids in texts.ids], kind="stable")
    for batch in cut_batches(order, texts, max_tokens=20_000, max_texts=256):
        tokens, lengths = pad([texts.ids[i] for i in batch])
        z[batch] = network.word(torch.from_numpy(tokens), torch.from_numpy(lengths))
    logits = network.readout(z)
    network.train()
    return z, logits


def _accuracies(network: SentimentNetwork, held: dict[str, EncodedTexts]) -> dict[str, float]:
    figures = {}
    for name, texts in held.items():
        _, logits = read_texts(network, texts)
        guesses = (logits + torch.from_numpy(texts.log_prior)).argmax(dim=1).numpy()
        figures[f"held_{name}"] = float((guesses == texts.targets.argmax(axis=1)).mean())
    return figures
