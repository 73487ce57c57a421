"""The AsyncAPI document has every topic with its types, and AsyncAPI's own parser accepts it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from tests.factories.records import new_event, new_shift
from worker.records.asyncapi import make_asyncapi
from worker.records.codec import encode
from worker.settings import load_settings

PARSER = "@asyncapi/parser@3.6.6"
# Run by the parser's own Node modules: prints each diagnostic, and fails for an error (severity 0).
VALIDATE = """
const { Parser } = require("@asyncapi/parser");
new Parser().parse(require("fs").readFileSync(0, "utf8")).then(({ document, diagnostics }) => {
  for (const d of diagnostics) console.log(d.severity, d.code, d.message, d.path.join("."));
  process.exit(document && !diagnostics.some((d) => d.severity === 0) ? 0 : 1);
});
"""
SETTINGS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "shadow": {"shadow": True},
    "others": {
        "topics": ("a.b-c", "x"),
        "payloads": {"x": "x-v2"},
        "kafka": "one:9093,two:9093",
        "kafka_security": "SSL",
        "registry": "http://localhost:8081",
        "output_format": "avro",
        "traces": "otlp",
    },
}


def schema_of(document: dict[str, Any], name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}", "components": document["components"]}


def test_every_topic_has_a_channel_and_an_operation() -> None:
    document = make_asyncapi(load_settings(**SETTINGS["others"]))
    addresses = [channel["address"] for channel in document["channels"].values()]
    assert addresses == ["a.b-c", "x", "sentiment.events", "sentiment.shifts", "sentiment.deadletters"]
    actions = [operation["action"] for operation in document["operations"].values()]
    assert actions == ["receive", "receive", "send", "send", "send"]
    default, own, event, *_ = [next(iter(c["messages"].values())) for c in document["channels"].values()]
    assert default["payload"] == {"$ref": "#/components/schemas/InputRecord"}
    assert "payload" not in own
    assert "x-v2" in own["summary"]
    assert (event["contentType"], event["bindings"]["kafka"]["schemaIdPayloadEncoding"]) == (
        "application/avro",
        "confluent",
    )
    assert {"ce_id", "traceparent", "tracestate"} <= set(event["headers"]["properties"])
    assert "traceparent" not in json.dumps(make_asyncapi(load_settings()))
    assert document["servers"]["kafka"] == {"host": "one:9093", "protocol": "kafka-secure"}


def test_the_topics_of_shadows_are_in_it_where_they_are_asked_for() -> None:
    document = make_asyncapi(load_settings(shadow=True))
    channels = {channel["address"]: channel["messages"] for channel in document["channels"].values()}
    assert list(channels)[-2:] == ["sentiment.shadow", "sentiment.comparisons"]
    assert channels["sentiment.shadow"]["SentimentEvent"] == channels["sentiment.events"]["SentimentEvent"]
    message = channels["sentiment.comparisons"]["ComparisonEvent"]
    assert message["payload"] == {"$ref": "#/components/schemas/ComparisonEvent"}
    assert "Comparison" not in json.dumps(make_asyncapi(load_settings()))


@pytest.mark.parametrize(("name", "record"), [("SentimentEvent", new_event()), ("ShiftEvent", new_shift())])
def test_what_is_published_is_valid_under_its_schema(name: str, record: Any) -> None:
    schema = schema_of(make_asyncapi(load_settings()), name)
    jsonschema.validate(json.loads(encode(record)), schema, cls=jsonschema.Draft7Validator)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(msgspec.to_builtins(record) | {"stream": None}, schema, cls=jsonschema.Draft7Validator)


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Node modules of AsyncAPI's parser: those of ASYNCAPI_MODULES, else installed from npm."""
    given = os.environ.get("ASYNCAPI_MODULES")
    if given:
        return Path(given)
    if shutil.which("npm") is None:
        pytest.skip("AsyncAPI's parser needs Node with npm")
    folder = tmp_path_factory.mktemp("asyncapi")
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), PARSER]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"npm cannot install AsyncAPI's parser: {done.stderr[-200:]}")
    return folder / "node_modules"


def problems(modules: Path, document: dict[str, Any]) -> str:
    """What the parser says of the document; empty for a valid one."""
    done = subprocess.run(
        ["node", "-e", VALIDATE],
        input=json.dumps(document),
        env=os.environ | {"NODE_PATH": str(modules)},
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize("name", SETTINGS)
def test_asyncapis_own_parser_accepts_the_document(modules: Path, name: str) -> None:
    document = make_asyncapi(load_settings(**SETTINGS[name]))
    assert problems(modules, document) == ""


def test_the_parser_is_one_that_finds_mistakes(modules: Path) -> None:
    document = make_asyncapi(load_settings())
    next(iter(document["operations"].values()))["channel"]["$ref"] = "#/channels/nowhere"
    assert "nowhere" in problems(modules, document) or "channel" in problems(modules, document)
