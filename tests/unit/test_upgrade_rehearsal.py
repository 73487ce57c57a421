"""The rehearsal of the upgrade is left out, and says why, where the history lacks version 0.1."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.compose.upgrade import COMMIT, version_0_1


def test_a_history_that_lacks_version_0_1_is_told(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    problem = version_0_1(tmp_path / "old", checkout=tmp_path)
    assert problem is not None and COMMIT in problem
    assert not (tmp_path / "old").exists()


def test_a_folder_that_is_no_checkout_is_told(tmp_path: Path) -> None:
    problem = version_0_1(tmp_path / "old", checkout=tmp_path)
    assert problem is not None and "not a git repository" in problem
