"""The planted bugs, one at a time in the simulated worker: how many seeds it takes to find each."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

from tests.planted_bugs.registry import WORKER_BUGS, Planted
from tests.simulation.run import Outcome, run_seed
from tests.simulation.worker.consumer import SimulatedConsumer


def fetched_records_kept_over_a_seek() -> AbstractContextManager[Any]:
    """What was fetched before a seek goes on to the pipeline."""

    def drop_fetched(self: Any) -> None:
        self._seek_number += 1

    return mock.patch.object(SimulatedConsumer, "_drop_fetched", drop_fetched)


ALL: dict[str, Planted] = WORKER_BUGS | {"fetched_records_kept_over_a_seek": fetched_records_kept_over_a_seek}


_MISFITS = ("died of TypeError", "died of AttributeError")  # a bug that was planted in code which has changed since


def first_seed_that_finds(name: str, first_seed: int, max_seeds: int) -> Outcome | None:
    """The first of `max_seeds` seeds that finds the planted bug; None where none does.

    Raises AssertionError where the bug does not fit the worker's code, which any seed would find.
    """
    with ALL[name]():
        for seed in range(first_seed, first_seed + max_seeds):
            outcome = run_seed(seed)
            for difference in outcome.differences:
                assert not any(misfit in difference for misfit in _MISFITS), f"{name} does not fit: {difference}"
            if outcome.differences:
                return outcome
    return None
