"""Runs the worker's Faust app in this process, as `faust worker` would, with our own logs and nothing on stdout."""

from __future__ import annotations

import signal
import sys

import mode.loop

from worker.process import return_large_blocks
from worker.settings import Settings


def serve(settings: Settings, *, until_end: bool) -> None:
    """Run until SIGTERM or SIGINT, which drain first, or until the end; ends the process with 0 then."""
    return_large_blocks()
    # until the event loop handles it, there is nothing to drain
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    mode.loop.use("uvloop")  # before Faust is imported: it takes the loop that it finds

    import faust  # noqa: PLC0415

    from worker.service.app import create_app  # noqa: PLC0415

    app = create_app(settings, until_end=until_end)
    worker = faust.Worker(app, quiet=True, override_logging=False, redirect_stdouts=False)
    worker.spinner = None
    worker.execute_from_commandline()
