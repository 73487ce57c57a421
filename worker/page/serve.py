"""Serves the page: its views on NiceGUI, behind the token where there is one, and the reader beside them."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from worker.errors import DependencyError, ListenError
from worker.settings import Settings

logger = logging.getLogger(__name__)

_SHUTDOWN_S = 2
_RECONNECT_S = 30.0  # a browser that is away for less, on a phone or a busy machine, goes on where it was


def serve_page(settings: Settings, demo_socket: Path | None = None) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Raises DependencyError when the extra `page` is not installed, ListenError when the address is not available.
    """
    try:
        for name in ("nicegui", "uvicorn"):
            importlib.import_module(name)
    except ImportError as error:
        raise DependencyError(
            f"Python package {error.name}", sys.prefix, "is not installed", "Run: pip install '.[page]'"
        ) from error
    with _listening_socket(settings) as listening:
        _run(settings, demo_socket, listening)


def _listening_socket(settings: Settings) -> socket.socket:
    host, port = settings.page_host, settings.page_port
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()
    except OSError as error:
        listening.close()
        raise ListenError("page", host, port, error) from error
    return listening


def _run(settings: Settings, demo_socket: Path | None, listening: socket.socket) -> None:
    # Imported once it is known to be installed.
    import uvicorn  # noqa: PLC0415
    from fastapi import FastAPI  # noqa: PLC0415
    from nicegui import ui  # noqa: PLC0415

    from worker.page.access import LocalGate, NoFrames, TokenGate  # noqa: PLC0415
    from worker.page.context import PageContext  # noqa: PLC0415
    from worker.page.views.routes import add_views  # noqa: PLC0415

    context = PageContext(settings, demo_socket)

    @contextlib.asynccontextmanager
    async def reading(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(context.reader.run())
        shown = f"[{settings.page_host}]" if ":" in settings.page_host else settings.page_host
        print(f"page: http://{shown}:{listening.getsockname()[1]}/", file=sys.stderr, flush=True)
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    app = FastAPI(lifespan=reading, docs_url=None, redoc_url=None, openapi_url=None)
    add_views(context)
    ui.run_with(
        app,
        title="Streaming sentiment",
        dark=None,
        language="en-US",
        tailwind=False,
        show_welcome_message=False,
        reconnect_timeout=_RECONNECT_S,
    )
    token = settings.page_token
    gated = TokenGate(app, token.get_secret_value()) if token else LocalGate(app, settings.page_host)
    config = uvicorn.Config(
        NoFrames(gated), log_config=None, access_log=False, timeout_graceful_shutdown=_SHUTDOWN_S, server_header=False
    )
    server = uvicorn.Server(config)
    asyncio.run(server.serve(sockets=[listening]))
