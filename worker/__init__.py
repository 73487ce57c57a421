"""The stream processor: Kafka in, the network's state per stream in Redis, sentiment events out, exactly once."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import Any

__version__ = version("streaming-sentiment")


def __getattr__(name: str) -> Any:
    """`faust -A worker.app worker`: the app of the environment's settings, made when Faust asks for it."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Faust and the network are imported for those who ask: every command imports this package.
    from worker.errors import SentimentError  # noqa: PLC0415
    from worker.process import die  # noqa: PLC0415
    from worker.settings import load_settings  # noqa: PLC0415

    try:
        return import_module("worker.service.app").create_app(load_settings())
    except SentimentError as error:
        die(error)
