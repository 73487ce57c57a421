"""The network that the settings name, ready to read."""

from __future__ import annotations

from model import InferenceEngine
from worker.settings import Settings


def load_engine(settings: Settings) -> InferenceEngine:
    """Raises CheckpointError, and ConfigError where the device cannot be had or does not know the precision."""
    return InferenceEngine.load(
        settings.checkpoint,
        carry=settings.carry,
        threads=settings.threads,
        precision=settings.precision,
        device=settings.device,
    )
