"""What watches the worker's steps, handed to each part in one piece."""

from __future__ import annotations

from typing import NamedTuple

from worker.monitoring.health import Health
from worker.monitoring.metrics import Metrics
from worker.monitoring.tracing.tracing import NO_TRACING, Tracing
from worker.process import CrashPoints


class Observers(NamedTuple):
    """Figures, readiness, spans, and the points between steps at which a fault test ends the process."""

    metrics: Metrics
    health: Health
    crash_points: CrashPoints
    tracing: Tracing = NO_TRACING
