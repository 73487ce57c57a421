"""Producers of the tests here ask again at once."""

from __future__ import annotations

import pytest

from worker.kafka import producer as producer_module
from worker.kafka import transaction as transaction_module


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer_module, "_RETRY_S", 0.0)
    monkeypatch.setattr(transaction_module, "_RETRY_S", 0.0)
