"""Log lines on stderr, as text or JSON, through one handler for the worker and its libraries.

A log line never contains the text of a record.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TextIO

from worker.settings import Settings

# The fields that a call may pass in `extra`, so that log lines can be searched by them.
FIELDS: Final = ("action", "topic", "partition", "offset")
# Faust's services log their start and stop under the name of the module that subclasses them.
SUBCLASSED: Final = tuple(f"worker.kafka.transport.{name}" for name in ("app", "consumer", "fetch_thread"))
LIBRARIES: Final = (
    "aiohttp",
    "aiokafka",
    "asyncio",
    "faust",
    "mode",
    "numba",
    "opentelemetry",
    "py.warnings",
    *SUBCLASSED,
)
# kafka-python logs every attempt to connect at length, and raises the final error anyway. What an exporter of spans
# logs of each failure, the worker says once.
SILENT: Final = ("kafka", "opentelemetry.exporter")
REPEAT_S: Final = 10.0
MAX_REMEMBERED_LINES: Final = 1000


class TextFormatter(logging.Formatter):
    """`2026-11-21T05:00:00.000Z INFO worker.ownership.manager: message`, a traceback on the lines below."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        """RFC 3339 in UTC."""
        return _format_time(record)


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger, message, the given FIELDS, and the traceback, if any."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its line end."""
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


class RepeatFilter(logging.Filter):
    """Limits each message of a library to once in REPEAT_S: while a broker is down, some log hundreds per second."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now_s = now_s
        self._logged_at: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write the line."""
        if not record.name.startswith(LIBRARIES):
            return True
        now_s, line = self._now_s(), (record.name, record.getMessage())
        if now_s - self._logged_at.get(line, -REPEAT_S) < REPEAT_S:
            return False
        if len(self._logged_at) >= MAX_REMEMBERED_LINES:
            self._logged_at.clear()
        self._logged_at[line] = now_s
        return True


class StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to what sys.stderr is at the time, which is above a progress bar while one is shown."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """Standard error."""
        return sys.stderr


def configure_logs(settings: Settings, *, is_service: bool = False) -> None:
    """Send every logger of this process to stderr, with the format and level in the settings.

    Libraries log warnings if `is_service`; otherwise they are silent, because the command reports errors itself. At
    level debug, they log at level info.
    """
    handler = StderrHandler()
    handler.addFilter(RepeatFilter())
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else TextFormatter())
    logging.basicConfig(handlers=[handler], level=settings.log_level.upper(), force=True)
    logging.captureWarnings(True)
    levels = dict.fromkeys(LIBRARIES, logging.WARNING if is_service else logging.CRITICAL)
    levels |= dict.fromkeys(SILENT, logging.CRITICAL)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(logging.INFO if settings.log_level == "debug" else level)


def _format_time(record: logging.LogRecord) -> str:
    created = datetime.fromtimestamp(record.created, UTC)
    return created.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
