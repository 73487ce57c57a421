"""Files of a run folder: its settings, and files and folders that are written atomically."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from model.config import ModelConfig, TrainConfig
from model.errors import ConfigError


def keep_settings(folder: Path, settings: Mapping[str, object]) -> None:
    """Write `config.json` into a folder, which is created if missing; an existing file must hold the same settings.

    Raises ConfigError that names every setting that differs, or if the folder cannot be created.
    """
    file = folder / "config.json"
    if not file.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(file, (json.dumps(settings, indent=2) + "\n").encode())
        except OSError as error:
            raise ConfigError(f"{folder}: cannot be written to: {error.strerror}") from error
        return
    try:
        there = json.loads(file.read_bytes())
        names = [name for name in {**there, **settings} if there.get(name) != settings.get(name)]
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"{file} is not the file of a run; choose another directory") from error
    if names:
        differing = "; ".join(f"{name} is {there.get(name)!r} there and {settings.get(name)!r} here" for name in names)
        raise ConfigError(
            f"{folder} holds a run with other settings: {differing}. Choose another directory, or remove it"
        )


def read_settings(run: Path) -> tuple[ModelConfig, TrainConfig]:
    """The sizes and hyperparameters of a run. Raises ConfigError if the folder holds no run."""
    file = run / "config.json"
    try:
        there = json.loads(file.read_bytes())
        sizes = {field.name: there.pop(field.name) for field in fields(ModelConfig)}
        return ModelConfig(**sizes), TrainConfig(**there)
    except OSError as error:
        raise ConfigError(f"{run} holds no run: {file}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(f"{file} is not of a run that this version can go on from: {error}") from error


def keep_whole(file: Path, content: bytes) -> bool:
    """Write a file if there is none; return whether the file that is there now has this content."""
    if not file.exists():
        write_whole(file, content)
    return file.read_bytes() == content


def write_whole(file: Path, content: bytes) -> None:
    """Write a file atomically: after a crash it is there whole or not at all."""
    new = file.with_name(f".{file.name}.new")
    with new.open("wb") as handle:
        handle.write(content)
        os.fsync(handle.fileno())
    new.replace(file)


def replace_folder(folder: Path, data: Mapping[str, bytes]) -> None:
    """Write the files beside `folder`, then move them into place: no reader sees a half-written folder."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        new.chmod(0o755)
        for file, content in data.items():
            with (new / file).open("wb") as handle:
                handle.write(content)
                os.fsync(handle.fileno())
        if folder.exists():
            shutil.rmtree(folder)
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
