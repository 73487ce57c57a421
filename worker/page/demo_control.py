"""Asks a demo to break its own parts, or to send a text. The demo listens on a socket that only its user can open."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Final

from worker.errors import DependencyError

_TIMEOUT_S: Final = 240.0  # a worker that starts again compiles its kernels on some machines


class DemoControl:
    """A client of the socket at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def ask(self, action: str, **values: str) -> str:
        """What was done, in words. Raises DependencyError when the demo does not answer or cannot do it."""
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                reader, writer = await asyncio.open_unix_connection(self._path)
                writer.write(json.dumps({"action": action} | values).encode() + b"\n")
                answer: dict[str, Any] = json.loads(await reader.readline())
                writer.close()
        except (OSError, TimeoutError, ValueError) as error:
            raise DependencyError("the demo", str(self._path), f"does not answer ({error})", "Is it over?") from error
        if "error" in answer:
            raise DependencyError("the demo", str(self._path), str(answer["error"]), "See its output.")
        return str(answer["done"])
