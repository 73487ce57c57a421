"""A row as a table may hold it, and the payloads that `sentiment feed` reads of a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from worker.payloads.payload import FieldPaths
from worker.settings import load_settings
from worker.tools.feed import FileOptions, read_files

ACME = {"stream": "acme", "text": "great"}


def read(
    path: Path, content: bytes | None = None, fields: FieldPaths | None = None, **options: Any
) -> tuple[list[Any], list[str]]:
    """The payloads of the file, and what is refused, without the path."""
    if content is not None:
        path.write_bytes(content)
    refused: list[str] = []
    settings = load_settings(fields={"tweets": fields} if fields else {})
    records = list(read_files([path], "tweets", settings, refused.append, FileOptions(**options)))
    return [json.loads(record.value) for record in records], [one.removeprefix(str(path)) for one in refused]
