"""What becomes of outputs that are larger than their topic takes (max.message.bytes)."""

from __future__ import annotations

import logging

from worker.errors import Reason, RecordError
from worker.kafka.producer import TooLargeError
from worker.monitoring.tracing.context import without_context
from worker.processing.events import EventWriter
from worker.processing.slices import Item, Slice
from worker.records.types import OutputRecord, content_bytes
from worker.settings import Settings

logger = logging.getLogger(__name__)


class TooLargeReplacer:
    """Replaces what a topic does not take, so that the worker goes on."""

    def __init__(self, settings: Settings, writer: EventWriter) -> None:
        self._settings = settings
        self._writer = writer

    def replace(self, work: Slice, error: TooLargeError) -> None:
        """Replace the outputs that a topic does not take, and leave out those that brokers have for good.

        What has a trace context is tried without it first. An event becomes the dead letter of its record, whose state
        stays: a rebuild, which publishes nothing, computes the same one. A shift is left out. A dead letter is cut.
        Raises `error` where nothing is left to cut.
        """
        refused, left = ({one.identity for one in ones} for ones in (error.refused, error.undelivered))
        published = list(zip(work.origins, work.outputs, strict=True))
        work.outputs, work.origins = [], []
        for item, output in published:
            if output[:3] in refused:
                self._replace(work, item, output, error)
            elif output[:3] in left:
                work.publish(item, output)

    def _replace(self, work: Slice, item: Item, output: OutputRecord, error: TooLargeError) -> None:
        bare = without_context(output.headers)
        if output.topic != self._settings.deadletters_topic and len(bare) < len(output.headers):
            # It is refused again if that was not the reason: tracing turns no event into a dead letter.
            work.publish(item, output._replace(headers=bare))
            return
        num_bytes = content_bytes(*output[1:])
        logger.warning(
            "%s does not take %d bytes of %s-%d offset %d: raise its max.message.bytes",
            *(output.topic, num_bytes, item.record.topic, item.record.partition, item.record.offset),
            extra={"action": "too_large", "topic": output.topic},
        )
        if output.topic == self._settings.shifts_topic:
            work.num_shifts -= 1
            return
        if self._settings.shadow:
            return
        if output.topic == self._settings.events_topic:
            message = f"the event has {num_bytes} bytes, more than {output.topic} takes (max.message.bytes)"
            item.result, item.error = None, RecordError(Reason.EVENT_TOO_LARGE, message)
            work.publish(item, self._writer.publish_deadletter(item.record, item.error))
        elif item.error is not None:
            letter = self._writer.cut_deadletter(item.record, item.error, output)
            if letter is None:
                raise error
            work.publish(item, letter)
