"""Two records as a file may hold them, and the values that `sentiment feed` reads of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from worker.settings import load_settings
from worker.tools.feed import FileOptions, read_files

ONE, TWO = b'{"stream":"a","text":"one"}', b'{"stream":"a","text":"two, [\\"{"}'


def read(path: Path, content: bytes | None = None, **options: Any) -> tuple[list[bytes], list[str]]:
    """The values of the file, and what is refused, without the path."""
    if content is not None:
        path.write_bytes(content)
    refused: list[str] = []
    records = list(read_files([path], "tweets", load_settings(), refused.append, FileOptions(**options)))
    return [record.value for record in records], [one.removeprefix(str(path)) for one in refused]
