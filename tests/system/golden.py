"""The output of one worker for fixed records, as plain data in `golden.json`; `test_golden.py` compares with it.

`python -m tests.system.golden` writes the file again. Do so only for a change that is announced to users.
"""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import chain
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import redis
import typer
from prometheus_client.parser import text_string_to_metric_families

from tests import kafka_tools
from tests.checkpoints import save_tiny_checkpoint
from tests.system.inputs import Input, poison, send, tweets
from tests.system.worker_process import WorkerProcess
from tests.workplace import new_workplace
from worker.cli import app
from worker.kafka.progress import PROGRESS
from worker.settings import ENV_PREFIX, Settings
from worker.stack import LocalStack

GOLDEN = Path(__file__).with_name("golden.json")
NAME = "golden"
START_MS = 1_790_000_000_000
NUM_TEXTS = 120
MAX_VALUE_BYTES, SHOWN_CHARACTERS = 10_000, 100
STREAMS = ("airline", "film", "café")
# Of the version, and of how the records were batched.
CHANGING_HEADERS = frozenset({"sentiment-worker-version", PROGRESS})
# Counters whose values follow from the records alone, no matter how they were batched.
COUNTED = ("records", "events", "dead_letters", "shifts", "state_resets", "fenced", "rebuilt_records")
FLAGS: dict[str, Any] = {
    "group": NAME,
    "topics": (f"{NAME}.tweets", f"{NAME}.reviews"),
    "events_topic": f"{NAME}.events",
    "shifts_topic": f"{NAME}.shifts",
    "deadletters_topic": f"{NAME}.deadletters",
    "partitions": 2,
    "log_format": "json",
    "flush_interval_s": 0,
    "shift_threshold": 0.8,
    "state_ttl_s": 3600,
}


def make_inputs(seed: int) -> list[Input]:
    """Whole texts, texts in pieces, erasures, every kind of dead letter, and an expiring stream; fixed by the seed."""
    random = Random(seed)
    made = []
    for one in tweets(NUM_TEXTS, seed, STREAMS, START_MS):
        kind = random.random()
        made.append(replace(one, text=None) if kind < 0.02 else replace(one, final=kind > 0.2))
    bad = [replace(one, time_ms=START_MS + NUM_TEXTS) for one in poison("poison")]
    late = [Input("film", "a good film", START_MS + 2 * 3_600_000)]
    return [*made, *bad, *late]


def run_worker(stack: LocalStack, folder: Path) -> dict[str, Any]:
    """Feed the inputs to one worker on `stack`; returns what it published, stored, counted and logged."""
    workplace = new_workplace(stack, **FLAGS)
    settings = workplace.settings
    # The records have old timestamps, so without this they would be deleted before the worker reads them.
    kafka_tools.create_topics(
        settings.kafka, dict.fromkeys(workplace.all_topics, settings.partitions), **{"retention.ms": "-1"}
    )
    try:
        inputs = {topic: make_inputs(seed) for seed, topic in enumerate(settings.topics)}
        for topic, of_topic in inputs.items():
            send(settings.kafka, topic, settings.partitions, of_topic)
        checkpoint = save_tiny_checkpoint(folder / "tiny")
        worker = WorkerProcess("golden", folder, workplace.environment() | {ENV_PREFIX + "CHECKPOINT": str(checkpoint)})
        worker.start()
        for topic, of_topic in inputs.items():
            for outcome in ("scored", "dead_letter", "erased"):
                worker.wait_for_metric("records_total", _count(of_topic, outcome), topic=topic, outcome=outcome)
        metrics = worker.metrics()
        assert worker.terminate() == 0, worker.tail()
        outputs = (settings.events_topic, settings.shifts_topic, settings.deadletters_topic)
        return {
            "records": {topic: _read(settings, topic) for topic in outputs},
            "states": _states(settings),
            "metrics": _metrics(metrics),
            "log_actions": _log_actions(worker.output()),
        }
    finally:
        workplace.delete_topics()


def surface() -> dict[str, Any]:
    """The settings with their defaults, and the commands with their options."""
    return {"settings": Settings.model_json_schema()["properties"], "commands": _commands(typer.main.get_command(app))}


def _count(inputs: list[Input], outcome: str) -> int:
    erased = sum(one.text is None and one.reason is None for one in inputs)
    dead = sum(one.reason is not None for one in inputs)
    return {"erased": erased, "dead_letter": dead, "scored": len(inputs) - erased - dead}[outcome]


def _read(settings: Settings, topic: str) -> list[Any]:
    """The key, headers and value of every record, in order of partition, source topic and offset."""
    records = sorted(kafka_tools.read_to_end(settings.kafka, topic), key=lambda record: record.offset)
    found = [
        {
            "partition": record.partition,
            "key": _text(record.key),
            "headers": [[name, _text(value)] for name, value in record.headers if name not in CHANGING_HEADERS],
            "value": _value(record.value),
        }
        for record in records
    ]
    return sorted(found, key=lambda one: (one["partition"], _source_topic(one)))


def _source_topic(record: dict[str, Any]) -> str:
    """The input topic of a published record; the output has no fixed order across input topics."""
    headers = dict(record["headers"])
    return str(headers.get("sentiment-topic") or record["value"]["source"]["topic"])


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode(errors="backslashreplace")


def _value(data: bytes | None) -> Any:
    """An event without its latency, or text; a long value is given by its beginning and its length."""
    try:
        event = json.loads(data or b"")
    except ValueError:
        event = _text(data)
    if len(data or b"") > MAX_VALUE_BYTES:
        return [str(event)[:SHOWN_CHARACTERS], len(data or b"")]
    if isinstance(event, dict) and "latency_ms" in event:
        event["latency_ms"] = None
    return event


def _states(settings: Settings) -> dict[str, Any]:
    """The bytes of every state, by key; without the lineage, because it contains the producer's id."""
    with redis.Redis.from_url(settings.redis) as client:
        keys = sorted(
            key for key in client.keys(f"{{{settings.group}:*") if not key.endswith((b":meta", b":probe}", b":serving"))
        )
        states = {}
        for key in keys:
            prefix, fingerprint, _, stream = key.decode().rsplit(":", 3)
            states[f"{prefix}:{fingerprint}:{stream}"] = client.get(key).hex()
        client.delete(*client.keys(f"{{{settings.group}:*"))
    return states


def _metrics(text: str) -> dict[str, Any]:
    """Every sentiment series with its labels, and the values of those that follow from the records alone."""
    families = [f for f in text_string_to_metric_families(text) if f.name.startswith("sentiment_")]
    samples = list(chain.from_iterable(family.samples for family in families))
    return {
        "types": {family.name: family.type for family in families},
        "series": sorted({f"{s.name}{sorted(s.labels)}" for s in samples}),
        "values": {
            f"{sample.name}{sample.labels}": sample.value
            for family in families
            if family.name.removeprefix("sentiment_") in COUNTED
            for sample in family.samples
            if not sample.name.endswith(("_created", "_sum"))
        },
    }


def _log_actions(output: str) -> list[str]:
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return sorted({f"{line['action']}: {' '.join(sorted(line))}" for line in lines if "action" in line})


def _commands(command: Any, path: str = "sentiment") -> dict[str, list[str]]:
    found = {path: sorted(chain.from_iterable((*p.opts, *p.secondary_opts) for p in command.params))}
    for name, inner in sorted(getattr(command, "commands", {}).items()):
        found |= _commands(inner, f"{path} {name}")
    return found


if __name__ == "__main__":
    with LocalStack() as servers, TemporaryDirectory() as scratch:
        golden = run_worker(servers, Path(scratch)) | surface()
        GOLDEN.write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n")
