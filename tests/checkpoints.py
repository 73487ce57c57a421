"""A small checkpoint with random weights, complete but untrained."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from model.checkpoint import save_checkpoint
from model.config import ModelConfig

WORDS = (
    *("the", "a", "i", "it", "was", "is", "not", "very", "so", "good", "great", "love", "thanks", "happy", "bad"),
    *("terrible", "hate", "sad", "awful", "flight", "movie", "film", "today", "service", "phone", "and", "but"),
    *("of", "to", "in", "on", ",", ".", "!", "?", "<user>", "<url>", "<number>"),
)


def save_tiny_checkpoint(folder: Path, seed: int = 1, scale: float = 0.5) -> Path:
    """Write it to `folder`, which must not exist; at this `scale` of weights, a stream's state affects its texts."""
    config = ModelConfig(
        num_words=len(WORDS), num_buckets=32, embedding_size=16, hidden_size=24, summary_size=8, stream_size=12
    )
    random = np.random.default_rng(seed)
    weights = {
        name: (random.standard_normal(shape) * scale).astype(np.float32)
        for name, shape in config.tensor_shapes().items()
    }
    weights["calibration.log_temperature"] = np.zeros(2, np.float32)
    save_checkpoint(folder, name=f"tiny-{seed}", config=config, words=WORDS, weights=weights)
    return folder
