"""Skips the tests of training when a large package that they need, such as torch, is not installed.

A test file, a fixture or a test that fails because one of PACKAGES cannot be imported is skipped; the reason says what
to install. With `--require-training` nothing is skipped: the run ends at once when a package is missing.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from importlib.util import find_spec
from pathlib import Path

import pytest

PACKAGES = {  # by the extra that installs them
    "train": ("gensim", "matplotlib", "onnx", "scipy", "simplemma", "sklearn", "tokenizers", "torch", "triton"),
    "bench": ("onnxruntime", "threadpoolctl", "vaderSentiment"),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-training", action="store_true", help="fail when a package of the training extras is missing"
    )


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("--require-training"):
        return
    for extra, packages in PACKAGES.items():
        if missing := [package for package in packages if not find_spec(package)]:
            raise pytest.UsageError(f"not installed: {', '.join(missing)}. Run: pip install '.[{extra}]'")


def skip_reason(error: BaseException) -> str | None:
    """What to install, if the cause of `error` is a package that is not installed; otherwise None."""
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, ModuleNotFoundError) and cause.name:
            package = cause.name.partition(".")[0]
            for extra, packages in PACKAGES.items():
                if package in packages and not find_spec(package):
                    return f"needs {package}: pip install '.[{extra}]'"
        cause = cause.__cause__ or cause.__context__
    return None


class _Module(pytest.Module):
    """A test file that is skipped as a whole when its imports need a missing package."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        try:
            return super().collect()
        except self.CollectError as error:
            if reason := skip_reason(error):
                pytest.skip(reason, allow_module_level=True)
            raise


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module:
    return _Module.from_parent(parent, path=module_path)


def _skip_on_missing() -> Generator[None, object, object]:
    try:
        return (yield)
    except Exception as error:
        if reason := skip_reason(error):
            pytest.skip(reason)
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    return (yield from _skip_on_missing())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    return (yield from _skip_on_missing())
