"""What the page logs while a server is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from worker.page.live import reader
from worker.page.live.reader import Reader
from worker.settings import load_settings


class EndedError(Exception):
    """Ends the loop of a reader, which has no end of its own."""


def test_an_error_that_stays_the_same_at_every_try_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reader, "RETRY_S", 0.0)
    errors: Iterator[Exception] = iter([OSError("away")] * 5 + [OSError("refused"), OSError("away"), EndedError()])

    async def step() -> None:
        raise next(errors)

    live: Any = SimpleNamespace()
    with caplog.at_level(logging.INFO), pytest.raises(EndedError):
        asyncio.run(Reader(load_settings(), live)._repeated(step))
    said = [record.getMessage().rpartition(": ")[2] for record in caplog.records]
    assert said == ["away", "refused", "away"]
