"""A sentence encoder fine-tuned on labelled texts; the small network learns from its soft targets of more texts.

Hinton et al. 2015, "Distilling the Knowledge in a Neural Network". The loss of a corpus is over its own classes and
under its own class shares (see `corpus_loss`), so that the logits are for balanced classes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import starmap
from operator import add
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model.clipping import Clipping
from model.config import NUM_CLASSES
from model.data.corpora import Example, classes_of
from model.training.batches import ABSENT, EncodedTexts, Ids, Indices, cut_batches, epoch_batches, pad
from model.training.distillation.encoder import Encoder
from model.training.fit import corpus_loss, fast_arithmetic
from model.training.run_folder import RunFolder
from model.training_loop import TrainingLoop, warm_up_then_decay

URL, NAME = re.compile(r"https?://\S+"), re.compile(r"@\w+")
READ_TOKENS, READ_TEXTS = 2048, 128  # of a batch in inference
BETAS, WEIGHT_DECAY = (0.9, 0.98), 0.01
CLIPPING = Clipping("global-norm", 1.0)
SAVE_EVERY = 200  # steps


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherConfig:
    """Hyperparameters of the fine-tuning."""

    epochs: int = 2
    batch_tokens: int = 1536  # most word pieces of a batch
    batch_texts: int = 48
    max_pieces: int = 256  # of a text; a longer one keeps its first and last half of that
    learning_rate: float = 1e-4  # of the last layer and the readout
    layer_decay: float = 0.9  # factor of the learning rate from each layer to the one below
    warmup_share: float = 0.06  # of the steps
    dropout: float = 0.1  # before the readout
    seed: int = 1


class EncoderTeacher(nn.Module):
    """A pretrained encoder with a readout for the three classes; `pieces` is its own tokenizer."""

    def __init__(self, name: str, encoder: Encoder, pieces: Any, config: TeacherConfig) -> None:
        super().__init__()
        torch.manual_seed(config.seed)
        self.name, self.config, self.pieces = name, config, pieces
        self.encoder = encoder
        self.encoder.pieces.requires_grad_(False)
        self.dropout = nn.Dropout(config.dropout)
        self.readout = nn.Linear(2 * encoder.sizes.size, NUM_CLASSES)
        self.register_buffer(
            "unknown", torch.zeros(NUM_CLASSES)
        )  # added to the logits: ABSENT for a class without training texts

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """(batch, time) padded ids and (batch,) lengths -> (batch, classes) logits."""
        with fast_arithmetic():
            summary = self.encoder(ids, lengths)
        return self.readout(self.dropout(summary.float()))  # type: ignore[no-any-return]

    def fit(
        self,
        corpora: Mapping[str, Sequence[Example]],
        folder: RunFolder,
        on_step: Callable[[int, int, float], None] = lambda step, num_steps, loss: None,
    ) -> None:
        """Fine-tune on labelled corpora, from the last step that the run folder holds.

        `on_step` receives the number of steps done, their total and the loss. Raises DataError for a corpus of fewer
        than two classes.
        """
        texts = reduce(add, starmap(self._labelled, corpora.items()))
        self.get_buffer("unknown").copy_(torch.where(torch.from_numpy(texts.targets).any(dim=0), 0.0, ABSENT))
        plan: list[Indices] = []
        for epoch in range(self.config.epochs):
            rng = np.random.default_rng((self.config.seed, epoch))
            limits = self.config.batch_tokens, self.config.batch_texts
            plan += epoch_batches(np.arange(len(texts)), texts, *limits, rng)
        optimizer = torch.optim.AdamW(self._groups(), betas=BETAS, weight_decay=WEIGHT_DECAY, fused=True)
        stage = f"teacher-{self.name}"
        loop = TrainingLoop(self.state_dict(), optimizer, clipping=CLIPPING, seed=self.config.seed)
        folder.load_step(stage, loop)
        schedule = warm_up_then_decay(self.config.warmup_share * len(plan), len(plan))

        def loss_of(rows: Indices) -> Tensor:
            return corpus_loss(self(*_padded([texts.ids[i] for i in rows])), texts, rows)

        self.train()
        for loss in loop.run(plan[loop.num_done :], loss_of, schedule):
            on_step(loop.num_done, len(plan), loss)
            if loop.num_done % SAVE_EVERY == 0 or loop.num_done == len(plan):
                folder.save_step(stage, loop)

    @torch.no_grad()
    def logits(self, texts: Sequence[str], on_text: Callable[[int], None] = lambda done: None) -> NDArray[np.float32]:
        """(texts, classes) logits for balanced classes; ABSENT for a class without training texts.

        `on_text` receives the number of texts done.
        """
        self.eval()
        read = np.empty((len(texts), NUM_CLASSES), np.float32)
        ids = self.encode(texts)
        bare = EncodedTexts(ids, read, read, [])
        order, done = np.argsort([len(text) for text in ids], kind="stable"), 0
        for batch in cut_batches(order, bare, READ_TOKENS, READ_TEXTS):
            read[batch] = (self(*_padded([ids[i] for i in batch])) + self.unknown).numpy()
            done += len(batch)
            on_text(done)
        return read

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        """The ids of the pieces of each text; a text longer than `max_pieces` loses its middle."""
        half = self.config.max_pieces // 2
        plain = [NAME.sub("@user", URL.sub("http", text)) for text in texts]
        read = (encoding.ids for encoding in self.pieces.encode_batch_fast(plain))
        cut = (ids if len(ids) <= 2 * half else ids[:half] + ids[-half:] for ids in read)
        return [np.array(ids, np.int32) for ids in cut]

    def _labelled(self, corpus: str, examples: Sequence[Example]) -> EncodedTexts:
        classes_of(examples, corpus)
        targets = np.eye(NUM_CLASSES, dtype=np.float32)[np.array([example.label for example in examples])]
        ids = self.encode([example.text for example in examples])
        return EncodedTexts.of_corpus(corpus, ids, targets, [""] * len(ids))

    def _groups(self) -> list[dict[str, Any]]:
        """The parameters and learning rate of each layer, from the readout down."""
        parts = [self.readout, *reversed(self.encoder.layers), self.encoder.norm, self.encoder.positions]
        depths = [0, *range(len(self.encoder.layers)), *[len(self.encoder.layers)] * 2]
        return [
            {"params": [*part.parameters()], "lr": self.config.learning_rate * self.config.layer_decay**depth}
            for part, depth in zip(parts, depths, strict=True)
        ]


def _padded(ids: Sequence[Ids]) -> tuple[Tensor, Tensor]:
    tokens, lengths = pad(ids)
    return torch.from_numpy(tokens), torch.from_numpy(lengths)
