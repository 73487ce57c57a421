"""Which errors let a test skip: those of a package that training needs and that is not installed."""

from __future__ import annotations

from importlib import import_module

import pytest

from tests import training_packages
from tests.training_packages import skip_reason

MISSING, UNRELATED, INSTALLED = "package_of_training", "another_package", "json"


@pytest.fixture(autouse=True)
def _packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_packages, "PACKAGES", {"train": (MISSING, INSTALLED)})


def failed_import(name: str) -> ModuleNotFoundError:
    with pytest.raises(ModuleNotFoundError) as caught:
        import_module(name)
    return caught.value


@pytest.mark.parametrize("name", [MISSING, f"{MISSING}.inner"])
def test_a_missing_package_of_training_is_a_reason_that_names_the_extra(name: str) -> None:
    assert skip_reason(failed_import(name)) == f"needs {MISSING}: pip install '.[train]'"


def test_the_reason_is_found_behind_the_error_that_a_user_would_see() -> None:
    error = RuntimeError("training needs more")
    error.__cause__ = failed_import(MISSING)
    assert skip_reason(error) == f"needs {MISSING}: pip install '.[train]'"


def test_other_errors_are_no_reason_to_skip() -> None:
    for error in (failed_import(UNRELATED), failed_import(f"{INSTALLED}.absent"), AssertionError("wrong")):
        assert skip_reason(error) is None


def test_where_training_is_required_a_missing_package_ends_the_run() -> None:
    class Required:
        def getoption(self, name: str) -> bool:
            return name == "--require-training"

    with pytest.raises(pytest.UsageError, match=rf"not installed: {MISSING}\. Run: pip install '\.\[train\]'"):
        training_packages.pytest_configure(Required())  # type: ignore[arg-type]
