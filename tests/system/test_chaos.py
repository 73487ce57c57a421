"""A short run of random faults; `make faults` makes long ones."""

from __future__ import annotations

import pytest

from tests.system.chaos import CHUNK_RECORDS, Chaos
from tests.system.scene import Scene

NUM_FAULTS = 6


@pytest.mark.slow
def test_random_faults_in_sequence_lose_duplicate_and_falsify_nothing(scene: Scene) -> None:
    chaos = Chaos(scene, seed=4)
    report = chaos.run(NUM_FAULTS * CHUNK_RECORDS)
    assert report.exact, (chaos.done, report)
    assert chaos.done.total() == NUM_FAULTS
