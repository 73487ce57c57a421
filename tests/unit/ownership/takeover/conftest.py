"""The cluster that tests of take-overs share."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.unit.ownership.takeover.scenario import FakeGroup, FakeLog, FakePublished
from worker.ownership import predecessors
from worker.ownership import published as published_module
from worker.ownership import takeover as takeover_module


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A cluster: its `group`, its `log`, and what is `published`."""
    group, log, published = FakeGroup(), FakeLog(), FakePublished()
    monkeypatch.setattr(takeover_module, "Group", lambda *_: group)
    monkeypatch.setattr(takeover_module, "Log", lambda *_: log)
    monkeypatch.setattr(takeover_module, "Published", lambda *_: published)
    monkeypatch.setattr(takeover_module, "_REDIS_RETRY_S", 0.001)
    monkeypatch.setattr(predecessors, "_UNSTABLE_RETRY_S", 0.001)
    monkeypatch.setattr(published_module, "_LOADING_RETRY_S", 0.001)
    return SimpleNamespace(group=group, log=log, published=published)
