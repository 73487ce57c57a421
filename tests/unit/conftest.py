"""What the unit tests share: a small engine, a data directory, and logs that are the same afterwards."""

from __future__ import annotations

import gzip
import json
import logging
import random
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from model import InferenceEngine
from model.data.corpora import FILES
from tests.checkpoints import WORDS, save_tiny_checkpoint
from worker.monitoring.logs import LIBRARIES, SILENT


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny")


@pytest.fixture(scope="session")
def tiny_engine(tiny_checkpoint: Path) -> InferenceEngine:
    return InferenceEngine.load(tiny_checkpoint)


@pytest.fixture(scope="session")
def packaged_engine() -> Callable[[str], InferenceEngine]:
    """The engine of a packaged network, by its name; each is loaded once, because `default` takes seconds."""
    return cache(lambda name: InferenceEngine.load(Path(name)))


@pytest.fixture
def same_logs_afterwards() -> Iterator[None]:
    """For tests that run a command here: it configures the logs of the whole process."""
    root, loggers = logging.getLogger(), [logging.getLogger(name) for name in (*LIBRARIES, *SILENT)]
    handlers, level, levels = root.handlers[:], root.level, [logger.level for logger in loggers]
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for logger, before in zip(loggers, levels, strict=True):
        logger.setLevel(before)
    logging.captureWarnings(False)


def _labelled_rows(labels: tuple[str, ...], num_streams: int, rng: random.Random) -> list[dict[str, Any]]:
    return [
        {
            "text": " ".join(rng.choices(WORDS, k=6)),
            "label": labels[i % len(labels)],
            "split": ("train", "dev")[i % 4 > 1],
        }
        | ({"stream": f"stream {i % num_streams}"} if num_streams else {})
        for i in range(48)
    ]


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in the layout of the real one."""
    folder, rng = tmp_path_factory.mktemp("data"), random.Random(0)
    two, three = ("negative", "positive"), ("negative", "neutral", "positive")
    for name, file in FILES.items():
        labels = three if name.startswith("semeval") or name == "topics_5point" else two
        rows = _labelled_rows(labels, 15 if name.startswith(("imdb", "topics")) else 0, rng)
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    return folder
