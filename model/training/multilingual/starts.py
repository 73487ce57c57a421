"""What the rounds of the multilingual training begin with: an English network with first vectors, or a first round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.progress import Progress

from model.checkpoint import EMBEDDING, Checkpoint, load_checkpoint
from model.config import ModelConfig, TrainConfig
from model.errors import CheckpointError
from model.text.plain_forms import NORMALISATIONS
from model.text.tokenizer import PIECES
from model.training.multilingual.first_vectors import first_vectors
from model.training.multilingual.vector_cache import VectorCache
from model.training.run_folder import RunFolder
from model.training.stream_cell import NUM_CELLS
from model.training.torch_network import SentimentNetwork
from model.training.train import new_network

STREAM_BOUND = 0.6  # of what a stream adds: clear texts have smaller margins here than in English networks


def load_start(path: Path) -> Checkpoint:
    """The checkpoint of a finished run, or in a folder of its own. Raises CheckpointError if it cannot be loaded."""
    return load_checkpoint(path / "checkpoint" if (path / "checkpoint").is_dir() else path)


def read_first_round(path: Path) -> Checkpoint:
    """The checkpoint of a first round. Raises CheckpointError if it is not of many languages."""
    found = load_start(path)
    if (found.tokenizer, found.normalisation) != (PIECES, NORMALISATIONS[-1]):
        raise CheckpointError(f"{path} is not a network of many languages, so that no first round can be taken from it")
    return found


def network_sizes(begin: Checkpoint, num_words: int) -> ModelConfig:
    """The sizes of the network and its stream's bound, with those of one of the stream cells that are merged."""
    there = begin.config
    return replace(
        there,
        num_words=num_words,
        stream_bound=STREAM_BOUND,
        summary_size=max(1, there.summary_size // NUM_CELLS),
        stream_size=max(1, there.stream_size // NUM_CELLS),
    )


def first_weights(  # noqa: PLR0913, PLR0917 - what the vectors are made of and where they are kept
    folder: RunFolder,
    begin: Checkpoint,
    words: Sequence[str],
    cache: VectorCache,
    sizes: ModelConfig,
    config: TrainConfig,
    progress: Progress,
) -> dict[str, torch.Tensor]:
    """The weights before the first round: those of the English network, and first vectors for the new words."""
    there = SentimentNetwork(begin.config)
    there.load_tensors(begin.weights)
    network = new_network(sizes, config)
    saved = folder.load_tensors("first-vectors")
    if saved is None:
        task = progress.add_task("first vectors of words", total=len(words))
        known = begin.weights[EMBEDDING].astype(np.float32)
        vectors = first_vectors(
            words, known[: len(begin.words)], cache, on_word=lambda done: progress.update(task, completed=done)
        )
        saved = {"vectors": torch.from_numpy(np.concatenate([vectors, known[len(begin.words) :]]))}
        folder.save_tensors("first-vectors", saved)
    network.word.embedding.weight.data.copy_(saved["vectors"])
    network.word.lstm.load_state_dict(there.word.lstm.state_dict())
    network.readout.load_state_dict(there.readout.state_dict())
    return network.state_dict()


def text_network_weights(known: Checkpoint, sizes: ModelConfig, config: TrainConfig) -> dict[str, torch.Tensor]:
    """The weights of a checkpoint's text network, with a new stream cell."""
    there, network = SentimentNetwork(known.config), new_network(sizes, config)
    there.load_tensors(known.weights)
    network.word.load_state_dict(there.word.state_dict())
    network.readout.load_state_dict(there.readout.state_dict())
    return network.state_dict()
