"""The stream processor: reads Kafka, keeps each stream's state in Redis and publishes sentiment events exactly once."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import Any

__version__ = version("streaming-sentiment")


def __getattr__(name: str) -> Any:
    """The Faust app of `faust -A worker.app worker`, created on first access from the environment's settings."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Imported here because every command imports this package, and Faust and the network load slowly.
    from worker.errors import SentimentError  # noqa: PLC0415
    from worker.process import die  # noqa: PLC0415
    from worker.settings import load_settings  # noqa: PLC0415

    try:
        return import_module("worker.service.app").create_app(load_settings())
    except SentimentError as error:
        die(error)
