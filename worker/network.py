"""Loads the network that the settings choose."""

from __future__ import annotations

from model import InferenceEngine
from worker.settings import Settings


def load_engine(settings: Settings) -> InferenceEngine:
    """Raises CheckpointError, and ConfigError when the device is missing or does not support the precision."""
    return InferenceEngine.load(
        settings.checkpoint,
        carry=settings.carry,
        threads=settings.threads,
        precision=settings.precision,
        device=settings.device,
    )
