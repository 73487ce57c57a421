"""Fixtures that run every law with each kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from model import InferenceEngine
from tests.unit.model.inference.laws.ways import KERNELS, Kernel


@pytest.fixture(scope="session", params=KERNELS, ids=lambda kernel: kernel.name)
def kernel(request: pytest.FixtureRequest) -> Kernel:
    found: Kernel = request.param
    return found


@pytest.fixture(scope="session")
def engine(kernel: Kernel, checkpoint: Path) -> InferenceEngine:
    return kernel.load(checkpoint)
