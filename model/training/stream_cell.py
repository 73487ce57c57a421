"""Fits the stream cell on streams whose labels the text network has not seen, and on streams resampled from them.

The text network is more confident and more often right on its training texts than on those that it will serve: a cell
that learnt from these would trust it too much. Films whose labels are held back are few, but how labels follow each
other can be learnt from every film. So the labels of each other film are used in their order, and each label stands
with a held review of that label, drawn at random.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import softmax

from model.clipping import Clipping
from model.config import ModelConfig, TrainConfig
from model.data.corpora import Example
from model.training.batches import ABSENT, EncodedTexts, Indices, pad, stream_sequences
from model.training.fit import TrainingRun, corpus_loss, read_texts
from model.training.torch_network import StreamNetwork, add_to_logits, merge_cells
from model.training_loop import TrainingLoop, constant

SEQUENCES_PER_BATCH = 64
NUM_CELLS = 3  # trained separately and merged
UNBIASING_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class ReadTexts:
    """Texts, with the text network's summaries and logits."""

    texts: EncodedTexts
    z: Tensor  # (texts, 3 hidden) summaries
    logits: Tensor  # (texts, classes)

    def __add__(self, other: ReadTexts) -> ReadTexts:
        joined = torch.cat([self.z, other.z]), torch.cat([self.logits, other.logits])
        return ReadTexts(self.texts + other.texts, *joined)


def fit_stream_cell(
    run: TrainingRun, films: EncodedTexts, topics: EncodedTexts, other_films: Sequence[Example], sizes: ModelConfig
) -> ModelConfig:
    """Train NUM_CELLS stream cells, the rest of the network frozen, and merge them into one.

    The labels of `films` and `topics` are held back; of `other_films` only the labels count. The cells differ in their
    initial weights, in the streams resampled for them and in the order of the sequences. Before the bound, the
    loss of their mean addend is at most the mean of their losses, since cross-entropy is convex in the logits. `sizes`
    are those of each cell. Returns the sizes of the network with the merged cell.
    """
    held_films, held_topics = (_read(run, texts) for texts in (films, topics))
    cells = []
    for number in range(NUM_CELLS):
        resampled = resample_streams(other_films, held_films, np.random.default_rng((run.config.seed, number)))
        learnt = reduce(operator.add, map(_unbiased, (held_films, held_topics, resampled)))
        cells.append(_fit_cell(run, number, sizes, learnt))
    merged = replace(sizes, summary_size=NUM_CELLS * sizes.summary_size, stream_size=NUM_CELLS * sizes.stream_size)
    run.network.stream = StreamNetwork(merged)
    run.network.stream.load_state_dict(merge_cells(cells))
    return merged


def resample_streams(examples: Sequence[Example], held: ReadTexts, rng: np.random.Generator) -> ReadTexts:
    """The streams and labels of `examples`, each example replaced by a text of `held` with the same label.

    Examples whose label no held text has are left out.
    """
    labels = held.texts.targets.argmax(axis=1)
    pools = {int(label): np.flatnonzero(labels == label) for label in np.unique(labels)}
    chosen = [example for example in examples if example.label in pools]
    wanted = np.array([example.label for example in chosen], np.intp)
    rows = np.zeros(len(chosen), np.intp)
    for label, pool in pools.items():
        of_label = wanted == label
        rows[of_label] = rng.choice(pool, np.count_nonzero(of_label))
    texts = EncodedTexts.of_corpus(
        "resampled",
        [held.texts.ids[row] for row in rows],
        held.texts.targets[rows],
        [example.stream or "" for example in chosen],
    )
    return ReadTexts(texts, held.z[rows], held.logits[rows])


def _read(run: TrainingRun, texts: EncodedTexts) -> ReadTexts:
    z, logits = read_texts(run.network, texts)
    return ReadTexts(texts, z.detach(), logits.detach())


def _fit_cell(run: TrainingRun, number: int, sizes: ModelConfig, read: ReadTexts) -> StreamNetwork:
    config, texts = run.config, read.texts
    torch.manual_seed(config.seed + number)
    cell = StreamNetwork(sizes)
    optimizer = torch.optim.Adam(cell.parameters(), config.stream_learning_rate)
    loop = TrainingLoop(cell.state_dict(), optimizer, clipping=Clipping("none"))

    def loss_of(batch: tuple[Indices, NDArray[np.bool_]]) -> Tensor:
        padded, inside = batch
        addend = cell(read.z[padded], read.logits[padded])[inside]
        rows = padded[inside]
        return corpus_loss(add_to_logits(read.logits[rows], addend, sizes.stream_bound), texts, rows)

    task = run.progress.add_task(f"stream cell {number + 1} of {NUM_CELLS}, epochs", total=config.stream_epochs)
    for epoch in range(config.stream_epochs):
        rng = np.random.default_rng((config.seed, number, epoch))
        batches = _sequence_batches(texts.streams, config, rng)
        losses = list(loop.run(batches, loss_of, constant(1 - epoch / config.stream_epochs)))
        run.progress.update(task, advance=1)
        run.folder.log("stream", number * config.stream_epochs + epoch + 1, loss=float(np.mean(losses)))
    return cell


def _unbiased(read: ReadTexts) -> ReadTexts:
    """A corpus with the class shares under which the text network's mean probabilities match the targets.

    Otherwise the cell would learn to correct the network's bias, which it can from a stream's second text on, and which
    other data does not have.
    """
    texts = read.texts
    log_prior = texts.log_prior.astype(np.float64)
    shares = np.maximum(texts.targets.mean(axis=0, dtype=np.float64), np.exp(ABSENT))
    for _ in range(UNBIASING_ROUNDS):
        found = softmax(torch.from_numpy(log_prior) + read.logits, dim=1).mean(dim=0).numpy()
        log_prior += np.log(shares / np.maximum(found, np.exp(ABSENT)))
    return replace(read, texts=replace(texts, log_prior=log_prior.astype(np.float32)))


def _sequence_batches(
    streams: Sequence[str], config: TrainConfig, rng: np.random.Generator
) -> Iterator[tuple[Indices, NDArray[np.bool_]]]:
    """Batches of (sequences, longest) rows of texts, each with a mask that is false at the padding."""
    sequences = stream_sequences(streams, config.stream_reset, config.stream_shuffled, rng)
    sequences = [sequences[i] for i in rng.permutation(len(sequences))]
    for start in range(0, len(sequences), SEQUENCES_PER_BATCH):
        padded, lengths = pad(sequences[start : start + SEQUENCES_PER_BATCH])
        yield padded, np.arange(padded.shape[1]) < lengths[:, None]
