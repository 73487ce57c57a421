"""Scenes on the shared servers, with a small network whose states affect its texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.checkpoints import save_tiny_checkpoint
from tests.system.scene import QUICK, Scene
from tests.workplace import Workplace

# These need helm: `make deploy-test` names the files.
collect_ignore = ["deployment/test_helm_chart.py", "deployment/test_helm_pods.py"]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny")


@pytest.fixture
def make_scene(
    make_workplace: Callable[..., Workplace], checkpoint: Path, tmp_path: Path
) -> Iterator[Callable[..., Scene]]:
    """Makes scenes with one input topic; takes the arguments of `new_workplace`, which override QUICK."""
    made: list[Scene] = []

    def make(**flags: Any) -> Scene:
        workplace = make_workplace(**({"inputs": ("tweets",)} | QUICK | flags))
        made.append(Scene(workplace, checkpoint, tmp_path / str(len(made))))
        return made[-1]

    yield make
    for scene in made:
        scene.close()


@pytest.fixture
def scene(make_scene: Callable[..., Scene]) -> Scene:
    """A scene with four partitions."""
    return make_scene()
