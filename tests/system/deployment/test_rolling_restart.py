"""Workers as the Helm chart runs them: static members of the group, restarted one by one, scaled to zero and back."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.system.scene import Scene
from tests.system.worker_process import WorkerProcess
from worker.errors import EXIT_OK

# Longer than a drain and a start take on a busy machine.
SESSION_TIMEOUT_S = 30
NUM_PARTITIONS = 4


def partitions_of(worker: WorkerProcess) -> set[str]:
    """The partitions whose lag the worker reports: those that it owns."""
    samples = (sample for family in text_string_to_metric_families(worker.metrics()) for sample in family.samples)
    return {sample.labels["partition"] for sample in samples if sample.name == "sentiment_lag_records"}


@pytest.mark.slow
def test_a_rolling_restart_moves_no_partitions_and_scaling_to_zero_and_back_loses_nothing(scene: Scene) -> None:
    first, second = (
        scene.launch_worker(instance_id=f"sentiment-{number}", session_timeout_s=SESSION_TIMEOUT_S)
        for number in range(2)
    )

    def are_shared() -> bool:
        return all(worker.answers() and len(partitions_of(worker)) == NUM_PARTITIONS // 2 for worker in (first, second))

    scene.wait_until(are_shared)
    owned = partitions_of(first), partitions_of(second)
    with scene.feeding():
        for restarted, other in ((first, second), (second, first)):
            rebalances = other.metric("rebalances_total")
            fenced = other.metric("fenced_total")
            assert restarted.terminate() == EXIT_OK, restarted.tail()
            restarted.start()
            restarted.wait_for_metric("events_total", 20)
            assert (partitions_of(first), partitions_of(second)) == owned
            assert other.metric("rebalances_total") == rebalances
            assert other.metric("fenced_total") == fenced
        assert [worker.terminate() for worker in (first, second)] == [EXIT_OK, EXIT_OK]
    # The group waits for the other member until its session ends, then this one gets everything.
    first.start()
    scene.wait_until(lambda: len(partitions_of(first)) == NUM_PARTITIONS)
    report = scene.finish()
    assert report.exact, report
