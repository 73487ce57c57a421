"""The files of a checkpoint: their names, how they are read, and what must be true of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from model.config import ModelConfig
from model.errors import CheckpointError

WEIGHTS, VOCABULARY, CONFIG, METRICS, CARD = (
    "weights.safetensors",
    "vocabulary.txt",
    "config.json",
    "metrics.json",
    "README.md",
)


def read_checked(folder: Path, file: str, description: dict[str, Any]) -> bytes:
    """The file, whose SHA-256 is the one that the `description` has. Raises CheckpointError where it is another."""
    content = _read_bytes(folder, file)
    sums = description.get("sha256")
    if not isinstance(sums, dict) or sums.get(file) != sha256(content):
        raise CheckpointError(f"{folder / file}: its SHA-256 is not the one in {CONFIG}: truncated or altered")
    return content


def _read_bytes(folder: Path, file: str) -> bytes:
    try:
        return (folder / file).read_bytes()
    except OSError as error:
        raise CheckpointError(f"{folder / file}: {error.strerror}") from error


def read_json(folder: Path, file: str) -> dict[str, Any]:
    """A JSON object. Raises CheckpointError for anything else."""
    try:
        value = json.loads(_read_bytes(folder, file))
    except ValueError as error:
        raise CheckpointError(f"{folder / file}: {error}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{folder / file}: is not a JSON object")
    return value


def check_words(folder: Path, words: Sequence[str], config: ModelConfig) -> None:
    """Raises CheckpointError where the words are not as many as the sizes say, or one is empty or there twice."""
    problem = None
    if len(words) != config.num_words:
        problem = f"has {len(words)} words, the sizes say {config.num_words}"
    elif len(set(words)) != len(words):
        problem = "has a word twice"
    elif any(not word or "\n" in word for word in words):
        problem = "has an empty word"
    if problem:
        raise CheckpointError(f"{folder / VOCABULARY}: {problem}")


def check_tensors(folder: Path, tensors: Mapping[str, NDArray[Any]], config: ModelConfig) -> None:
    """Raises CheckpointError where names, shapes or values of the tensors are not those of the sizes."""
    if problems := config.tensor_problems(tensors):
        raise CheckpointError(f"{folder / WEIGHTS}: {'; '.join(problems)}")


def json_bytes(value: Mapping[str, Any]) -> bytes:
    """JSON as it stands in a file, with a line for each value."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def sha256(content: bytes) -> str:
    """The hexadecimal digest."""
    return hashlib.sha256(content).hexdigest()
