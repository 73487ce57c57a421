"""The published JSON Schemas (draft 2020-12), made from the types in worker/records/types.py.

They are committed next to this file, so that consumers can read them without our code. After a change of the types,
`python -m worker.records.schemas` writes them again; a test fails until it has.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import msgspec

from worker.records.types import DeadLetterHeaders, InputRecord, SentimentEvent, ShiftEvent

FOLDER = Path(__file__).parent

# deadletter: its headers, as an object of texts; the rest of a dead letter is the original record
PUBLISHED: dict[str, type[msgspec.Struct]] = {
    "input": InputRecord,
    "event": SentimentEvent,
    "shift": ShiftEvent,
    "deadletter": DeadLetterHeaders,
}


def make_schema(name: str) -> dict[str, Any]:
    """The schema called `name`, one of PUBLISHED."""
    schema = msgspec.json.schema(PUBLISHED[name])
    for definition in schema["$defs"].values():
        definition["description"] = inspect.cleandoc(definition["description"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": name, **schema}


def render_schema(name: str) -> str:
    """The text of the schema's file."""
    return json.dumps(make_schema(name), indent=2, ensure_ascii=False) + "\n"


def write_schemas() -> list[Path]:
    """Write every schema's file; returns their paths."""
    paths = [FOLDER / f"{name}.json" for name in PUBLISHED]
    for path in paths:
        path.write_text(render_schema(path.stem))
    return paths
