"""A training that takes seconds: a tiny network, in few steps, with a tiny teacher."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import tokenizers
import torch

from model.config import ModelConfig, TrainConfig
from model.training.distillation.encoder import Encoder, EncoderSizes
from model.training.train import train_checkpoint
from tests.unit.model.training.train.phrases import WORDS

SIZES = ModelConfig(num_words=80, num_buckets=8, embedding_size=16, hidden_size=16, summary_size=4, stream_size=4)
CONFIG = TrainConfig(
    epochs=5,
    batch_tokens=400,
    batch_texts=32,
    learning_rate=1e-2,
    warmup_steps=5,
    language_epochs=2,
    language_rows=8,
    language_tokens=20,
    language_sampled=16,
    phrase_variants=2,
    tweet_variants=1,
    stream_epochs=3,
    held_topics=0.4,
)


def _tiny_encoder() -> tuple[Encoder, Any]:
    """In place of the pretrained one: random weights, and a piece for each word of the phrases."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *chain(*WORDS.values())]
    pieces = tokenizers.Tokenizer(tokenizers.models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    pieces.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    torch.manual_seed(0)
    sizes = EncoderSizes(num_pieces=len(words), num_positions=64, size=16, inner_size=16, num_layers=1, num_heads=2)
    return Encoder(sizes), pieces


def train(data: Path, run: Path, config: TrainConfig = CONFIG) -> Path:
    return train_checkpoint(config, data, run, sizes=SIZES, show_progress=False, load_encoder=_tiny_encoder)
