"""The settings in the chart's values.schema.json are those of the worker: `python -m deploy.chart_schema` writes them.

A misspelt setting is refused by `helm install`, before a worker starts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from worker.settings import Settings

SCHEMA = Path(__file__).parent / "helm" / "sentiment" / "values.schema.json"
# What the chart sets itself, or what is for other commands and for fault tests.
OWN = {"instance_id", "health_host", "health_port", "partitions", "replication", "prometheus", "crash_at"}


def filled() -> str:
    """The schema with today's settings in it."""
    schema: dict[str, Any] = json.loads(SCHEMA.read_text())
    fields = {name: field for name, field in Settings.model_fields.items() if name not in OWN}
    secrets = sorted(name for name, field in fields.items() if "SecretStr" in str(field.annotation))
    kinds = ["string", "number", "boolean", "object"]
    plain = {
        name: {"description": field.description, "type": kinds} for name, field in fields.items() if name not in secrets
    }
    schema["properties"]["settings"]["properties"] = plain
    schema["properties"]["shadow"]["properties"]["settings"]["propertyNames"] = {"enum": [*plain]}
    schema["properties"]["secretSettings"]["propertyNames"] = {"enum": [*secrets, *plain]}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(filled())
    print(SCHEMA)
