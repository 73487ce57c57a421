"""The settings that say which topics are read and written, and how their records are made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from worker.payloads.payload import REGISTERED_FORMATS, FieldPaths, Payload, parse_json, parse_payloads
from worker.payloads.presets import PRESETS, payload_problems, resolve
from worker.servers.fields import ServerSettings
from worker.setting_types import PositiveInt, TopicName


class TopicSettings(ServerSettings):
    """The topics, the group that reads them, and the payloads of their records."""

    group: TopicName = Field("sentiment", description="consumer group; also the prefix of the keys in Redis")
    topics: Annotated[tuple[TopicName, ...], NoDecode] = Field(
        ("tweets", "reviews"), min_length=1, description="input topics, comma-separated"
    )
    events_topic: TopicName = Field("sentiment.events", description="topic of the sentiment events")
    shifts_topic: TopicName = Field("sentiment.shifts", description="topic of the mood shifts")
    deadletters_topic: TopicName = Field("sentiment.deadletters", description="topic of the dead letters")
    shadow: bool = Field(
        False,
        description="follow the running group with another model: build its states, and publish its events to "
        "shadow_topic alone",
    )
    shadow_topic: TopicName = Field("sentiment.shadow", description="topic of the events of shadows")
    comparisons_topic: TopicName = Field(
        "sentiment.comparisons", description="topic in which shadows say where they and the group differ"
    )
    partitions: PositiveInt = Field(4, description="partitions of each topic that `sentiment topics` creates")
    replication: Annotated[int, Field(gt=0, lt=1 << 15)] = Field(
        1, description="replicas of each topic that `sentiment topics` creates"
    )
    fields: Annotated[dict[TopicName, FieldPaths], NoDecode] = Field(
        default_factory=dict,
        description="path of each field in the payload, or a list of paths that are tried in order, per topic (JSON)",
    )
    payloads: Annotated[dict[TopicName, Payload], NoDecode] = Field(
        default_factory=dict,
        description="payload of each topic: topic=preset or topic=format, comma-separated, or JSON (docs/connect.md)",
    )
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = Field(
        "none", description="compression of what is sent; all of these are read, whatever this says"
    )
    output_format: Literal["json", "avro", "protobuf", "json-schema"] = Field(
        "json", description="format of events and shifts; all but json are registered in the schema registry"
    )

    @field_validator("topics", mode="before")
    @classmethod
    def _split_topics(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("fields", "payloads", mode="before")
    @classmethod
    def _parse(cls, value: object, info: ValidationInfo) -> object:
        parse = parse_payloads if info.field_name == "payloads" else parse_json
        return parse(value) if isinstance(value, str) else value

    def payload_of(self, topic: str) -> tuple[Payload, FieldPaths]:
        """How the records of `topic` are read, with everything that its preset sets."""
        return resolve(self.payloads.get(topic, Payload()), self.fields.get(topic, FieldPaths()))

    @property
    def output_topics(self) -> tuple[str, ...]:
        """The topics that a worker with these settings writes in its transactions."""
        return (self.events_topic,) if self.shadow else (self.events_topic, self.shifts_topic, self.deadletters_topic)

    @property
    def outcome_topics(self) -> tuple[str, ...]:
        """Where every record that is scored, or cannot be, has its outcome: events and dead letters."""
        return tuple(topic for topic in self.output_topics if topic != self.shifts_topic)

    @property
    def written_topics(self) -> tuple[str, ...]:
        """All topics that a worker with these settings writes: of a shadow, that of comparisons, too."""
        return (*self.output_topics, *((self.comparisons_topic,) if self.shadow else ()))

    def of_shadow(self, fingerprint: str) -> Self:
        """The settings of a shadow that runs the model of `fingerprint`: a group and an output of its own.

        Keys in Redis stay those of the group that it follows.
        """
        return self.model_copy(
            update={
                "shadow": True,
                "group": f"{self.group}.shadow.{fingerprint}",
                "events_topic": self.shadow_topic,
            }
        )

    def topic_problems(self) -> Iterator[str]:
        """What does not fit together in the settings of topics and payloads."""
        outputs = (self.events_topic, self.shifts_topic, self.deadletters_topic)
        named = self.topics + outputs + ((self.shadow_topic, self.comparisons_topic) if self.shadow else ())
        if len({name.replace(".", "_") for name in named}) < len(named):
            yield f"topics must differ from each other, and by more than dots and underscores: {', '.join(named)}"
        for setting, topics in (("fields", self.fields), ("payloads", self.payloads)):
            if not topics.keys() <= set(self.topics):
                yield f"{setting} names a topic that is not in topics"
        yield from self.registry_problems(*self._registered_formats())
        yield from payload_problems(self.payloads, self.fields)

    def _registered_formats(self) -> tuple[set[str], set[str]]:
        """The formats of inputs and of outputs that need a schema registry."""
        known = {topic for topic, payload in self.payloads.items() if payload.preset in {None, *PRESETS}}
        inputs = {self.payload_of(topic)[0].format for topic in known} & set(REGISTERED_FORMATS)
        return set(inputs), {str(self.output_format)} - {"json"}
