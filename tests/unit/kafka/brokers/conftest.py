"""Brokers of the tests here are asked again at once, and closed soon."""

from __future__ import annotations

import pytest

from worker.kafka import brokers as brokers_module


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brokers_module, "_RETRY_S", 0.0)
    monkeypatch.setattr(brokers_module, "_CLOSE_S", 0.01)
