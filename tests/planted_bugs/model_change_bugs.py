"""Bugs in the change of the model: shadows, and workers that take their states."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

from worker.ownership.manager import PartitionManager
from worker.settings import Settings


def shadow_not_bound() -> AbstractContextManager[Any]:
    """A shadow processes what the group that it follows has not committed yet."""
    return mock.patch.object(PartitionManager, "bound", lambda *_: None)


def events_of_a_shadow_published() -> AbstractContextManager[Any]:
    """A shadow publishes its events beside those of the group that it follows."""
    of_shadow = Settings.of_shadow

    def among_the_events(self: Settings, fingerprint: str) -> Settings:
        return of_shadow(self, fingerprint).model_copy(update={"events_topic": self.events_topic})

    return mock.patch.object(Settings, "of_shadow", among_the_events)
