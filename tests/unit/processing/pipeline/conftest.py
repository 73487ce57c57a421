"""No test of the pipeline ends the process; `ended` has the errors that would have."""

from __future__ import annotations

from typing import NoReturn

import pytest

from tests.unit.processing.pipeline.scene import EndedError
from worker.processing import committer as committer_module


@pytest.fixture(autouse=True)
def ended(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """Errors that ended the process."""
    errors: list[BaseException] = []

    def end(error: BaseException) -> NoReturn:
        errors.append(error)
        raise EndedError

    monkeypatch.setattr(committer_module, "die", end)
    return errors
