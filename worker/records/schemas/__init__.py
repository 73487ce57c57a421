"""The published JSON Schemas (draft 2020-12), generated from the types in worker/records/types.py.

They are committed next to this file, so that consumers can read them without our code. After a change of the types, run
`python -m worker.records.schemas` to write them again; a test fails if they are out of date.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import msgspec

from worker.records.comparison import ComparisonEvent
from worker.records.types import DeadLetterHeaders, InputRecord, SentimentEvent, ShiftEvent

FOLDER = Path(__file__).parent

# The schema "deadletter" covers the headers, as an object of strings; the rest is the original record.
PUBLISHED: dict[str, type[msgspec.Struct]] = {
    "input": InputRecord,
    "event": SentimentEvent,
    "shift": ShiftEvent,
    "deadletter": DeadLetterHeaders,
    "comparison": ComparisonEvent,
}


def make_schema(name: str) -> dict[str, Any]:
    """Generate the schema called `name`, one of PUBLISHED."""
    schema = msgspec.json.schema(PUBLISHED[name])
    for definition in schema["$defs"].values():
        definition["description"] = inspect.cleandoc(definition["description"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": name, **schema}


def render_schema(name: str) -> str:
    """The contents of the schema's file."""
    return json.dumps(make_schema(name), indent=2, ensure_ascii=False) + "\n"


def write_schemas() -> list[Path]:
    """Write the files of all schemas; returns their paths."""
    paths = [FOLDER / f"{name}.json" for name in PUBLISHED]
    for path in paths:
        path.write_text(render_schema(path.stem))
    return paths
