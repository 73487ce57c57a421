"""A checkpoint is a directory that holds a whole network. All of it is checked before it is used.

    weights.safetensors   the tensors of ModelConfig.tensor_shapes, float32 or float16
    vocabulary.txt        one word per line; the line number, from 0, is the id
    config.json           format, name, tokenizer version, sizes, what the network understands, and the SHA-256 of the
                          two files above; the version of the normalising, if it is not the first; the calibration by
                          language, if there is one
    metrics.json          the results of its evaluation
    README.md             the model card

It contains no code and no pickle. Loading refuses a directory that differs from this, and says why.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from model.checkpoint_files import (
    CARD,
    CONFIG,
    METRICS,
    VOCABULARY,
    WEIGHTS,
    check_tensors,
    check_words,
    json_bytes,
    read_checked,
    read_json,
    sha256,
)
from model.config import ModelConfig, Understanding
from model.errors import CheckpointError, ConfigError
from model.files import replace_folder
from model.text.plain_forms import NORMALISATIONS
from model.text.tokenizer import PIECES, TOKENIZER_VERSIONS, WORDS, Tokenizer

FORMAT = 3
UNBOUNDED_FORMAT = 2  # what a stream adds has no bound, and the network reads English
OLD_FORMAT = 1  # nor has it here, and there is one temperature for all texts
PACKAGED = Path(__file__).parent / "checkpoints"
DEFAULT_CHECKPOINT = PACKAGED / "default"

Weights = dict[str, NDArray[Any]]
EMBEDDING = "word.embedding.weight"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A network in memory. Its `fingerprint` (16 hex digits) depends on sizes, vocabulary, tokenizer and weights."""

    name: str
    config: ModelConfig
    words: tuple[str, ...]
    weights: Weights  # float32, but the embedding, most of all memory, as it is stored: float16 or float32
    fingerprint: str
    tokenizer: int = WORDS  # one of TOKENIZER_VERSIONS
    normalisation: int = NORMALISATIONS[0]
    understanding: Understanding = field(default_factory=Understanding)
    log_temperature_by_language: Mapping[str, float] = field(default_factory=dict)  # see `calibration.py`
    metrics: dict[str, Any] = field(default_factory=dict)

    def make_tokenizer(self) -> Tokenizer:
        """The tokenizer whose ids the network learnt from."""
        return Tokenizer(self.words, self.config.num_buckets, self.tokenizer, normalisation=self.normalisation)

    def fingerprint_in(self, precision: str) -> str:
        """The fingerprint of states made in this precision. Precisions do not read each other's states."""
        return self.fingerprint if precision == "float32" else sha256(f"{self.fingerprint} {precision}".encode())[:16]


def save_checkpoint(  # noqa: PLR0913 - each names something that the directory holds
    folder: Path,
    *,
    name: str,
    config: ModelConfig,
    words: Sequence[str],
    weights: Mapping[str, NDArray[Any]],
    understanding: Understanding | None = None,
    metrics: Mapping[str, Any] | None = None,
    card: str = "",
    half: bool = False,
    tokenizer: int = WORDS,
    normalisation: int = NORMALISATIONS[0],
    log_temperature_by_language: Mapping[str, float] = MappingProxyType({}),
) -> None:
    """Write a checkpoint to `folder`, replacing it if it exists. `half` stores the weights as float16; `tokenizer`
    and `normalisation` are the versions that the network learnt with.

    Raises CheckpointError if words, weights and config do not match: `load_checkpoint` would refuse the checkpoint.
    """
    tensors = {key: np.ascontiguousarray(value, np.float16 if half else np.float32) for key, value in weights.items()}
    check_words(folder, words, config)
    check_tensors(folder, tensors, config)
    data = {WEIGHTS: save_tensors(tensors), VOCABULARY: "\n".join(words).encode()}
    description = {
        "format": FORMAT,
        "name": name,
        "tokenizer": tokenizer,
        "model": config.to_dict(),
        "understanding": asdict(understanding or Understanding()),
        "sha256": {file: sha256(content) for file, content in data.items()},
    }
    if normalisation != NORMALISATIONS[0]:
        description["normalisation"] = normalisation
    if log_temperature_by_language:
        description["log_temperature_by_language"] = dict(log_temperature_by_language)
    data[CONFIG] = json_bytes(description)
    data[METRICS] = json_bytes(metrics or {})
    data[CARD] = card.encode()
    replace_folder(folder, data)


def find_checkpoint(named: Path | str | None) -> Path:
    """The directory at path `named`, else the packaged checkpoint of that name. None is the packaged default.

    Raises CheckpointError if there is neither.
    """
    if named is None:
        return DEFAULT_CHECKPOINT
    if Path(named).is_dir():
        return Path(named)
    packaged = {folder.name: folder for folder in sorted(PACKAGED.iterdir())}
    if str(named) not in packaged:
        raise CheckpointError(f"{named}: there is no such checkpoint folder; packaged ones: {', '.join(packaged)}")
    return packaged[str(named)]


def load_checkpoint(named: Path | str | None) -> Checkpoint:
    """Read and check the checkpoint that `find_checkpoint` finds.

    Raises CheckpointError, which names the file and the reason, if a file is missing, damaged or of another version.
    """
    folder = find_checkpoint(named)
    description = read_json(folder, CONFIG)
    if (version := description.get("format")) not in range(OLD_FORMAT, FORMAT + 1):
        raise CheckpointError(
            f"{folder / CONFIG}: format {version!r}, this version reads formats {OLD_FORMAT} to {FORMAT}"
        )
    if (tokenizer := description.get("tokenizer")) not in TOKENIZER_VERSIONS:
        raise CheckpointError(
            f"{folder / CONFIG}: made for tokenizer {tokenizer!r}, this version has {WORDS} and {PIECES}"
        )
    if (normalisation := description.get("normalisation", NORMALISATIONS[0])) not in NORMALISATIONS:
        raise CheckpointError(
            f"{folder / CONFIG}: made for normalisation {normalisation!r}, this version has {NORMALISATIONS}"
        )
    config = _read_config(folder, description)
    data = {file: read_checked(folder, file, description) for file in (WEIGHTS, VOCABULARY)}
    try:
        words = tuple(data[VOCABULARY].decode().split("\n"))
        tensors = load_tensors(data[WEIGHTS])
    except (UnicodeDecodeError, SafetensorError) as error:
        raise CheckpointError(f"{folder}: {error}") from error
    if description["format"] == OLD_FORMAT:
        tensors["calibration.log_temperature"] = _log_temperature(tensors.pop("calibration.temperature", np.empty(0)))
    check_words(folder, words, config)
    check_tensors(folder, tensors, config)
    return Checkpoint(
        name=str(description.get("name", folder.name)),
        config=config,
        words=words,
        weights={key: value if key == EMBEDDING else value.astype(np.float32) for key, value in tensors.items()},
        fingerprint=_fingerprint(description),
        tokenizer=tokenizer,
        normalisation=normalisation,
        understanding=_read_understanding(folder, description),
        log_temperature_by_language=_read_by_language(folder, description),
        metrics=read_json(folder, METRICS),
    )


def _log_temperature(temperature: NDArray[np.floating]) -> NDArray[np.float32]:
    """Format 1's temperature in format 2: the same for every length. Not finite if the temperature is not positive."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.append(np.log(temperature, dtype=np.float32), np.float32(0))


def _fingerprint(description: dict[str, Any]) -> str:
    # Checkpoints of the first normalisation, and those of one language, lack a key.
    names = ("tokenizer", "normalisation", "model", "log_temperature_by_language", "sha256")
    identity = {name: description[name] for name in names if name in description}
    return sha256(json.dumps(identity, sort_keys=True).encode())[:16]


def _read_config(folder: Path, description: dict[str, Any]) -> ModelConfig:
    sizes = description.get("model")
    if not isinstance(sizes, dict):
        raise CheckpointError(f"{folder / CONFIG}: has no sizes under 'model'")
    if description["format"] <= UNBOUNDED_FORMAT:
        sizes = sizes | {"stream_bound": None}
    try:
        return ModelConfig.from_dict(sizes)
    except ConfigError as error:
        raise CheckpointError(f"{folder / CONFIG}: {error}") from error


def _read_understanding(folder: Path, description: dict[str, Any]) -> Understanding:
    if description["format"] <= UNBOUNDED_FORMAT:
        return Understanding()
    try:
        return Understanding.from_dict(description.get("understanding"))
    except ConfigError as error:
        raise CheckpointError(f"{folder / CONFIG}: {error}") from error


def _read_by_language(folder: Path, description: dict[str, Any]) -> dict[str, float]:
    by_language = description.get("log_temperature_by_language", {})
    if not isinstance(by_language, dict) or not all(
        type(value) in {int, float} and math.isfinite(value) for value in by_language.values()
    ):
        raise CheckpointError(f"{folder / CONFIG}: log_temperature_by_language must be numbers by language")
    return by_language
