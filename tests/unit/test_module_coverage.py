"""`make coverage` names the modules that too few tests reach."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import coverage
import pytest

from tests.module_coverage import modules_below

HALF = "def tested() -> int:\n    return 1\n\n\ndef untested() -> int:\n    a = 1\n    return a\n"


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., coverage.Coverage]:
    """Makes coverage data in which some lines of files ran."""
    monkeypatch.chdir(tmp_path)

    def measure(**lines: list[int]) -> coverage.Coverage:
        for name in lines:
            Path(f"{name}.py").write_text(HALF)
        data = coverage.CoverageData()
        data.add_lines({str(tmp_path / f"{name}.py"): ran for name, ran in lines.items()})
        data.write()
        found = coverage.Coverage()
        found.load()
        return found

    return measure


def test_a_module_below_the_bar_is_named_with_its_percentage(measured: Callable[..., coverage.Coverage]) -> None:
    found = measured(half=[1, 2, 5], none=[], whole=[1, 2, 5, 6, 7])
    assert modules_below(found, 61) == {"none.py": 0, "half.py": pytest.approx(60)}
    assert modules_below(found, 60) == {"none.py": 0}
