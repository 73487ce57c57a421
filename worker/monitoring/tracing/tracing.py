"""What the worker reports to a tracer, and the tracer that does nothing, which is the default."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, Literal, Protocol

from worker.errors import SettingsError
from worker.monitoring.histogram import Exemplar
from worker.monitoring.metrics import Metrics
from worker.records.types import OutputRecord, TopicPartition
from worker.settings import Settings

Step = Literal["decode", "load", "score"]


class Published(Protocol):
    """What one partition publishes of a micro-batch; origins: of each output, the item whose record it is of."""

    outputs: list[OutputRecord]

    @property
    def origins(self) -> Sequence[Any]: ...  # noqa: D102


class Addressed(Protocol):
    """A record that is published."""

    @property
    def topic(self) -> str: ...  # noqa: D102


class BatchTrace(Protocol):
    """The trace of one micro-batch, from its first record to its commit."""

    def inject(self, published: Published) -> None:
        """Give the events and shifts the trace contexts of their records."""

    def exemplars(self, records: Iterable[Any], now_ms: float) -> Sequence[Exemplar]:
        """Traces of some of `records`, each with the seconds since its record's timestamp."""

    def end(self, committed: Collection[TopicPartition]) -> None:
        """The commit is over, for these partitions; it was refused for the others."""


class Tracing(Protocol):
    """Spans of what the worker does. Nothing here raises, blocks or changes what is published, but for headers."""

    def micro_batch(
        self, records: Mapping[TopicPartition, Sequence[Any]], created_s: float
    ) -> AbstractContextManager[BatchTrace]:
        """A micro-batch whose first record came at `created_s` (monotonic). An error in the block ends its trace."""

    def step(self, step: Step) -> AbstractContextManager[object]:
        """Steps 2 to 4 of the micro-batch around."""

    def sending(self, records: Collection[Addressed]) -> AbstractContextManager[object]:
        """The publishing of `records` within a commit."""

    def committing(self) -> AbstractContextManager[object]:
        """The commit point."""

    def flushing(self, tp: TopicPartition) -> AbstractContextManager[object]:
        """One write of states to Redis."""

    async def close(self) -> None:
        """Export what is left, within a time limit."""


class NoBatchTrace:
    """See BatchTrace."""

    def inject(self, published: Published) -> None:
        """See BatchTrace."""

    def exemplars(self, records: Iterable[Any], now_ms: float) -> Sequence[Exemplar]:
        """See BatchTrace."""
        return ()

    def end(self, committed: Collection[TopicPartition]) -> None:
        """See BatchTrace."""


class NoTracing:
    """Does nothing, at the price of a call a step of a micro-batch and of nothing a record."""

    _nothing: Final = nullcontext()
    _batch: Final = nullcontext(NoBatchTrace())

    def micro_batch(self, records: object, created_s: float) -> AbstractContextManager[BatchTrace]:
        """See Tracing."""
        return self._batch

    def step(self, step: Step) -> AbstractContextManager[object]:
        """See Tracing."""
        return self._nothing

    def sending(self, records: object) -> AbstractContextManager[object]:
        """See Tracing."""
        return self._nothing

    def committing(self) -> AbstractContextManager[object]:
        """See Tracing."""
        return self._nothing

    def flushing(self, tp: TopicPartition) -> AbstractContextManager[object]:
        """See Tracing."""
        return self._nothing

    async def close(self) -> None:
        """See Tracing."""


NO_TRACING: Final = NoTracing()


def start_tracing(settings: Settings, metrics: Metrics) -> Tracing:
    """The tracing that the setting `traces` asks for.

    Raises SettingsError when an OTEL_* variable has a value that OpenTelemetry does not take.
    """
    if settings.traces == "off":
        return NO_TRACING
    from worker.monitoring.tracing.export import otlp_provider  # noqa: PLC0415 - the extra `otel`
    from worker.monitoring.tracing.spans import OtelTracing  # noqa: PLC0415

    try:
        return OtelTracing(settings, otlp_provider(settings, metrics))
    except (ValueError, RuntimeError) as error:
        raise SettingsError(
            f"traces {settings.traces}: OpenTelemetry refuses its variables (OTEL_*): {error}"
        ) from error
