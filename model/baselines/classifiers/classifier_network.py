"""The network of the small classifiers of the literature (embedding, recurrent layers, softmax), and its config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model.baselines.baseline import BaselineConfig
from model.baselines.classifiers.vocabulary import NUM_SPECIAL, SIDES
from model.baselines.recurrent import RecurrentNetwork
from model.cells import CELLS

NUM_CLASSES = 2


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig(BaselineConfig):
    """Hyperparameters of a small classifier."""

    cell: str = "rnn"  # a key of cells.CELLS
    num_words: int = 10_000  # largest size of the vocabulary
    text_words: int = 80  # words of a text that are read
    zeros: str = "front"  # side where short texts are padded and long ones truncated: front or end
    embedding_size: int = 100
    hidden_size: int = 64
    num_layers: int = 2
    dropout: float = 0.5  # between layers and before the softmax
    batch_texts: int = 128
    epochs: int = 3
    learning_rate: float = 1e-3
    num_texts: int = 0  # training texts, drawn at random; 0 for all

    zero_allowed: ClassVar[frozenset[str]] = BaselineConfig.zero_allowed | {"dropout", "num_texts"}

    def problems(self) -> list[str]:
        """A message for every value that is out of range."""
        problems = BaselineConfig.problems(self)
        if self.cell not in CELLS:
            problems.append(f"cell must be one of {', '.join(CELLS)}")
        if self.zeros not in SIDES:
            problems.append(f"zeros must be one of {', '.join(SIDES)}")
        if self.dropout >= 1:
            problems.append("dropout must be below 1")
        return problems


class TextClassifier(nn.Module):
    """Classifies a row of word ids from the state after its last position, padded or not."""

    def __init__(
        self, config: ClassifierConfig, num_words: int, rows: NDArray[np.float32] | None = None, *, frozen: bool = False
    ) -> None:
        """rows: initial embedding, (special ids + words, size); None for random values. frozen: do not train it."""
        super().__init__()
        self.embedding = nn.Embedding(NUM_SPECIAL + num_words, config.embedding_size)
        if rows is None:
            nn.init.uniform_(self.embedding.weight, -0.05, 0.05)
        else:
            self.embedding.weight.data.copy_(torch.from_numpy(rows))
        self.embedding.weight.requires_grad_(not frozen)
        between = config.dropout if config.num_layers > 1 else 0.0
        self.recurrent = RecurrentNetwork(
            config.cell, config.embedding_size, config.hidden_size, config.num_layers, between
        )
        self.dropout = nn.Dropout(config.dropout)
        self.readout = nn.Linear(config.hidden_size, NUM_CLASSES)
        _initialise_as_keras(self.recurrent)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits, (batch, classes), for ids, (batch, words)."""
        h, _ = self.recurrent(self.embedding(ids))
        logits: Tensor = self.readout(self.dropout(h[:, -1]))
        return logits

    def trained(self) -> dict[str, nn.Parameter]:
        """The parameters that are not frozen, by name."""
        return {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}


def _initialise_as_keras(network: RecurrentNetwork) -> None:
    """Initialise the recurrent layers as Keras does, in which the originals were written.

    Orthogonal recurrent weights (Saxe et al. 2014) retain early words, which torch's small default weights forget
    within ten words. Biases are zero, except for an LSTM's forget gate, where they are 1 (Jozefowicz et al. 2015).
    """
    for name, weight in network.layers.named_parameters():
        if name.startswith("weight_ih"):
            nn.init.xavier_uniform_(weight)
        elif name.startswith("weight_hh"):
            nn.init.orthogonal_(weight)
        else:
            nn.init.zeros_(weight)
            if network.kind == "lstm" and name.startswith("bias_ih"):
                forget = slice(len(weight) // 4, len(weight) // 2)  # gate order: i, f, g, o
                weight.data[forget] = 1.0
