"""No test of the manager ends the process; `ended` has the errors that would have."""

from __future__ import annotations

from typing import NoReturn

import pytest

from tests.unit.ownership.manager.scenario import EndedError
from worker.ownership import manager as manager_module


@pytest.fixture(autouse=True)
def ended(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """Errors that ended the process."""
    errors: list[BaseException] = []

    def end(error: BaseException) -> NoReturn:
        errors.append(error)
        raise EndedError(str(error))

    monkeypatch.setattr(manager_module, "die", end)
    return errors
