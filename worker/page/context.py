"""What every view is given: the settings, what was read, the network and the demo."""

from __future__ import annotations

import asyncio
from functools import cached_property
from pathlib import Path

from model import Trace, Tracer
from worker.page.demo_control import DemoControl
from worker.page.live.live_view import LiveView
from worker.page.live.reader import Reader
from worker.settings import Settings


class PageContext:
    """One for the process; visitors share it."""

    def __init__(self, settings: Settings, demo_socket: Path | None) -> None:
        self.settings = settings
        self.demo = DemoControl(demo_socket) if demo_socket else None
        self.live = LiveView(settings, is_audited=demo_socket is not None)
        self.reader = Reader(settings, self.live)

    @cached_property
    def _tracer(self) -> Tracer:
        return Tracer(self.settings.checkpoint)

    async def trace(self, text: str, state: bytes | None = None) -> Trace:
        """What the network makes of `text` on a stream in `state`. Raises CheckpointError."""
        return await asyncio.to_thread(lambda: self._tracer.read(text, state))
