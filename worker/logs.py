"""Log lines on stderr, as text or as JSON, the libraries' through the same handler. Never a text of a record."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

from worker.settings import Settings

# what a call may say with `extra`, so that lines can be searched by it
FIELDS: Final = ("action", "topic", "partition", "offset")
# worker.transport: the services of Faust that are subclassed there tell of their comings and goings under that name
LIBRARIES: Final = ("aiohttp", "aiokafka", "asyncio", "faust", "mode", "numba", "py.warnings", "worker.transport")
# kafka-python tells at length of every try to connect, and raises what comes of it as well
SILENT: Final = ("kafka",)


class TextFormatter(logging.Formatter):
    """`2026-11-21T05:00:00.000Z INFO worker.keeper: message`, a traceback on the lines below."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        """RFC 3339 in UTC."""
        return _format_time(record)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, those of FIELDS that were given, a traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line = {
            "time": _format_time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name in FIELDS if (value := getattr(record, name, None)) is not None}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure_logs(settings: Settings, *, is_service: bool = False) -> None:
    """Send every logger of this process to stderr, in the form and from the level of the settings.

    The libraries warn where `is_service`; else the command itself says what is wrong, and they keep still. At level
    debug they tell everything but their own debugging.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else TextFormatter())
    logging.basicConfig(handlers=[handler], level=settings.log_level.upper(), force=True)
    logging.captureWarnings(True)
    levels = dict.fromkeys(LIBRARIES, logging.WARNING if is_service else logging.CRITICAL)
    levels |= dict.fromkeys(SILENT, logging.CRITICAL)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(logging.INFO if settings.log_level == "debug" else level)


def _format_time(record: logging.LogRecord) -> str:
    time = datetime.fromtimestamp(record.created, UTC)
    return time.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
