"""The fits of a training run: the text network on all corpora, the stream cell on whole streams, the temperature."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import Progress
from torch import Tensor
from torch.nn.functional import cross_entropy, softmax

from model.batches import ABSENT, Indices, Texts, cut_batches, epoch_batches, pad, stream_sequences
from model.clipping import Clipping
from model.config import ModelConfig, TrainConfig
from model.network import SentimentNetwork, StreamNetwork, merge_cells
from model.runs import RunFolder

SAVE_EVERY = 500  # steps
SEQUENCES_PER_BATCH = 64
NUM_CELLS = 3  # that are trained apart and merged
UNBIASING_ROUNDS = 50
SHRINKAGE = 1e-3  # of the temperature's weights: few texts, all read rightly, would have it go to zero


@dataclass(frozen=True, slots=True)
class Training:
    """A run in progress: its network, its knobs, where it keeps its files and shows how far it is."""

    network: SentimentNetwork
    config: TrainConfig
    folder: RunFolder
    progress: Progress


def fast_arithmetic() -> torch.autocast:
    """Matrix products in bfloat16 where the processor has instructions for them; the weights stay in float32."""
    native = torch.cpu.get_capabilities()
    return torch.autocast("cpu", torch.bfloat16, enabled=bool(native.get("amx_bf16") or native.get("avx512_bf16")))


def fit_text_network(run: Training, corpora: Sequence[Texts], held: dict[str, Texts]) -> None:
    """Train the word network and the readout; goes on from the last saved step. Held texts are only measured."""
    config = run.config
    texts = reduce(operator.add, corpora)
    plan: list[Indices] = []
    for epoch in range(config.epochs):
        rng = np.random.default_rng((config.seed, epoch))
        plan += epoch_batches(np.arange(len(texts)), texts, config.batch_tokens, config.batch_texts, rng)
    parameters = [*run.network.word.parameters(), *run.network.readout.parameters()]
    optimizer = torch.optim.Adam(parameters, betas=(0.9, 0.99), fused=True)
    num_done = run.folder.load_step("text", run.network, optimizer)
    task = run.progress.add_task("text network, steps", total=len(plan), completed=num_done)
    losses: list[float] = []
    for step in range(num_done, len(plan)):
        torch.manual_seed(config.seed * 1_000_003 + step)  # of the dropout, so that a step repeats exactly
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, len(plan), config)
        tokens, lengths = pad([texts.ids[i] for i in plan[step]])
        with fast_arithmetic():
            logits = run.network.text_logits(torch.from_numpy(tokens), torch.from_numpy(lengths))
        loss = corpus_loss(logits.float(), texts, plan[step])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        clip_gradients(parameters, config.clipping)
        optimizer.step()
        losses.append(loss.item())
        run.progress.update(task, advance=1, description=f"text network, loss {np.mean(losses[-100:]):.3f}; steps")
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == len(plan):
            run.folder.save_step("text", step + 1, run.network, optimizer)
            run.folder.log("text", step + 1, loss=float(np.mean(losses)), **_accuracies(run.network, held))
            losses.clear()


def clip_gradients(parameters: Iterable[Tensor], clipping: Clipping) -> None:
    """Clip the gradients of parameters, where they have one."""
    clipping.apply(parameter.grad.numpy() for parameter in parameters if parameter.grad is not None)


def learning_rate(step: int, num_steps: int, config: TrainConfig) -> float:
    """Rises over the first steps, then falls in a line to zero."""
    return config.learning_rate * min(1.0, (step + 1) / (config.warmup_steps + 1)) * (1 - step / num_steps)


def corpus_loss(logits: Tensor, texts: Texts, rows: Indices) -> Tensor:
    """Mean cross-entropy of the logits of texts `rows`, each under the class shares of its own corpus."""
    log_prior, targets = torch.from_numpy(texts.log_prior[rows]), torch.from_numpy(texts.targets[rows])
    return cross_entropy(logits + log_prior, targets)


@torch.no_grad()
def read_texts(network: SentimentNetwork, texts: Texts) -> tuple[Tensor, Tensor]:
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


def _accuracies(network: SentimentNetwork, held: dict[str, Texts]) -> dict[str, float]:
    figures = {}
    for name, texts in held.items():
        _, logits = read_texts(network, texts)
        guesses = (logits + torch.from_numpy(texts.log_prior)).argmax(dim=1).numpy()
        figures[f"held_{name}"] = float((guesses == texts.targets.argmax(axis=1)).mean())
    return figures


def fit_stream_cell(run: Training, corpora: Sequence[Texts], sizes: ModelConfig) -> ModelConfig:
    """Train NUM_CELLS stream cells on corpora with streams, the rest of the network frozen, and merge them into one.

    They differ in how they begin and in the order of what they learn from. The loss of what they add on average is at
    most the average of their losses, as cross-entropy is convex in the logits.
    `sizes`: of each cell. Returns the network's sizes with the merged cell.
    """
    read = [read_texts(run.network, corpus) for corpus in corpora]
    texts = reduce(operator.add, [_unbiased(corpus, logits) for corpus, (_, logits) in zip(corpora, read, strict=True)])
    z, text_logits = (torch.cat(parts).detach() for parts in zip(*read, strict=True))
    cells = [_fit_cell(run, number, sizes, texts, (z, text_logits)) for number in range(NUM_CELLS)]
    merged = replace(sizes, summary_size=NUM_CELLS * sizes.summary_size, stream_size=NUM_CELLS * sizes.stream_size)
    run.network.stream = StreamNetwork(merged)
    run.network.stream.load_state_dict(merge_cells(cells))
    return merged


def _fit_cell(
    run: Training, number: int, sizes: ModelConfig, texts: Texts, read: tuple[Tensor, Tensor]
) -> StreamNetwork:
    config, (z, text_logits) = run.config, read
    torch.manual_seed(config.seed + number)
    cell = StreamNetwork(sizes)
    optimizer = torch.optim.Adam(cell.parameters())
    task = run.progress.add_task(f"stream cell {number + 1} of {NUM_CELLS}, epochs", total=config.stream_epochs)
    for epoch in range(config.stream_epochs):
        rng = np.random.default_rng((config.seed, number, epoch))
        for group in optimizer.param_groups:
            group["lr"] = config.stream_learning_rate * (1 - epoch / config.stream_epochs)
        losses = []
        for padded, inside in _sequence_batches(texts.streams, config, rng):
            addend = cell(z[padded], text_logits[padded])[inside]
            rows = padded[inside]
            loss = corpus_loss(text_logits[rows] + addend, texts, rows)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(loss.item())
        run.progress.update(task, advance=1)
        run.folder.log("stream", number * config.stream_epochs + epoch + 1, loss=float(np.mean(losses)))
    return cell


def _unbiased(texts: Texts, logits: Tensor) -> Texts:
    """One corpus, with the class shares under which the text network is right about it on average.

    Otherwise the cell would learn to mend the network's bias, which it can from a stream's second text on, and which
    other data does not have.
    """
    log_prior = texts.log_prior.astype(np.float64)
    shares = np.maximum(texts.targets.mean(axis=0, dtype=np.float64), np.exp(ABSENT))
    for _ in range(UNBIASING_ROUNDS):
        read = softmax(torch.from_numpy(log_prior) + logits.detach(), dim=1).mean(dim=0).numpy()
        log_prior += np.log(shares / np.maximum(read, np.exp(ABSENT)))
    return replace(texts, log_prior=log_prior.astype(np.float32))


def fit_temperature(run: Training, held: Mapping[str, Texts]) -> None:
    """Set the temperature of least loss over texts whose labels the text network did not see, each corpus alike."""
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


def _sequence_batches(
    streams: Sequence[str], config: TrainConfig, rng: np.random.Generator
) -> Iterator[tuple[Indices, NDArray[np.bool_]]]:
    """(sequences, longest) rows of texts, and where they are texts instead of padding, a batch at a time."""
    sequences = stream_sequences(streams, config.stream_reset, config.stream_shuffled, rng)
    sequences = [sequences[i] for i in rng.permutation(len(sequences))]
    for start in range(0, len(sequences), SEQUENCES_PER_BATCH):
        padded, lengths = pad(sequences[start : start + SEQUENCES_PER_BATCH])
        yield padded, np.arange(padded.shape[1]) < lengths[:, None]
