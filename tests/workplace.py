"""One test's share of the servers: topics, a group and keys that no other test uses."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

from tests import kafka_tools
from worker.settings import ENV_PREFIX, Settings, load_settings
from worker.stack import LocalStack


@dataclass(frozen=True)
class Workplace:
    """`settings` contain the topics and the group, which is also the prefix of the keys in Redis."""

    stack: LocalStack
    settings: Settings
    flags: dict[str, Any]

    @property
    def topic(self) -> str:
        """The first input topic."""
        return self.settings.topics[0]

    @property
    def all_topics(self) -> list[str]:
        """Input and output topics."""
        settings = self.settings
        return [*settings.topics, settings.events_topic, settings.shifts_topic, settings.deadletters_topic]

    def environment(self) -> dict[str, str]:
        """The environment variables that give a command the same settings."""
        return {ENV_PREFIX + name.upper(): _as_variable(value) for name, value in self.flags.items()}

    def create_topics(self) -> None:
        """Create all topics, with `settings.partitions` partitions each."""
        kafka_tools.create_topics(self.settings.kafka, dict.fromkeys(self.all_topics, self.settings.partitions))

    def delete_topics(self) -> None:
        """Delete those of the topics that exist."""
        kafka_tools.delete_topics(self.settings.kafka, self.all_topics)


def new_workplace(stack: LocalStack, inputs: tuple[str, ...] = ("tweets", "reviews"), **flags: Any) -> Workplace:
    """A workplace on `stack` with unique names and with `flags`; `inputs` are the ends of the input topics' names."""
    prefix = f"t{uuid.uuid4().hex[:8]}"
    defaults: dict[str, Any] = {
        "kafka": stack.kafka,
        "redis": stack.redis,
        "group": prefix,
        "topics": tuple(f"{prefix}.{name}" for name in inputs),
        "events_topic": f"{prefix}.events",
        "shifts_topic": f"{prefix}.shifts",
        "deadletters_topic": f"{prefix}.deadletters",
        "health_port": 0,
    }
    flags = defaults | flags
    return Workplace(stack, load_settings(**flags), flags)


def _as_variable(value: Any) -> str:
    """The value as pydantic-settings reads it: topics joined by commas, other structures as JSON."""
    if isinstance(value, tuple):
        return ",".join(value)
    return json.dumps(value) if isinstance(value, dict) else str(value)
