"""What can be set of a topic's payload, validated at start."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, Field, model_validator

from worker.payloads.paths import split_path
from worker.payloads.times import time_parser

Format = Literal["json", "text", "confluent-json", "avro", "protobuf"]
REGISTERED_FORMATS: Final = ("avro", "protobuf")
KeyFormat = Literal["text", "int", "long", "uuid", "payload"]


def as_paths(paths: str | tuple[str, ...]) -> tuple[str, ...]:
    """One path or several, as several."""
    return (paths,) if isinstance(paths, str) else paths


def _checked_paths(paths: str | tuple[str, ...]) -> str | tuple[str, ...]:
    for path in as_paths(paths):
        split_path(path)
    return paths


def _checked_time_format(formats: str | tuple[str, ...]) -> str | tuple[str, ...]:
    time_parser(formats)
    return formats


def _checked_pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
    return pattern


Paths = Annotated[str | tuple[str, ...], AfterValidator(_checked_paths)]
TimeFormat = Annotated[str | Annotated[tuple[str, ...], Field(min_length=1)], AfterValidator(_checked_time_format)]


class FieldPaths(BaseModel, extra="forbid", frozen=True):
    """The path of each field in a topic's payload, or several that are tried in order; none: the payload lacks it."""

    id: Paths = "id"
    stream: Paths = "stream"
    text: Paths = "text"
    time: Paths = "time"
    final: Paths = "final"


class SkipRule(BaseModel, extra="forbid", frozen=True):
    """A record is skipped when it has something at one of the paths: one of `values`, a text whose beginning matches
    `pattern`, or anything if neither is given. missing: when it has nothing at any of them.
    """

    path: Paths
    values: tuple[str | int | float | bool, ...] | None = None
    pattern: Annotated[str, AfterValidator(_checked_pattern)] | None = None
    missing: bool = False

    @model_validator(mode="after")
    def _has_one_condition(self) -> Self:
        if (self.values is not None) + (self.pattern is not None) + self.missing > 1:
            raise ValueError("a skip rule has one of values, pattern and missing")
        return self

    def __str__(self) -> str:
        path = " or ".join(as_paths(self.path))
        if self.missing:
            return f"there is nothing at {path}"
        if self.values is not None:
            return f"{path} is {' or '.join(map(str, self.values))}"
        return f"{path} matches {self.pattern}" if self.pattern is not None else f"there is {path}"


class Payload(BaseModel, extra="forbid", frozen=True):
    """How the records of a topic are read; the preset sets what is not set. In short: a preset's or format's name.

    html: the text has HTML tags with attributes, which count as spaces. null_values: what a record without a value
    does.
    """

    preset: str | None = None
    format: Format = "json"
    time_format: TimeFormat = "auto"
    key_format: KeyFormat = "text"
    skip: tuple[SkipRule, ...] = ()
    null_values: Literal["erase", "skip"] = "erase"
    html: bool = False

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return {"format": value} if value in get_args(Format) else {"preset": value}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.format == "text" and self.skip:
            raise ValueError("format text has no fields to skip by")
        return self


def parse_json(text: str) -> Any:
    """What a setting says that is an object in JSON. Raises ValueError."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f'it is no JSON such as {{"topic": {{...}}}}: {error}') from None


def parse_payloads(text: str) -> Any:
    """What the setting `payloads` says, as JSON or as topic=preset, comma-separated. Raises ValueError."""
    if text.lstrip().startswith("{"):
        return parse_json(text)
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    if not all(equals for _, equals, _ in pairs):
        raise ValueError("neither topic=preset or topic=format, comma-separated, nor JSON")
    named = {topic.strip(): preset.strip() for topic, _, preset in pairs}
    if len(named) < len(pairs):
        raise ValueError("a topic is named twice")
    return named
