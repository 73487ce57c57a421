"""The settings of all commands, validated at start: flags override `SENTIMENT_*`, which overrides a TOML file."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from worker.errors import SettingsError
from worker.servers.addresses import check_host
from worker.setting_problems import find_problems, unknown_variables
from worker.setting_types import Port, PositiveInt, ProtocolSeconds, Seconds, TopicName
from worker.topic_settings import TopicSettings

ENV_PREFIX = "SENTIMENT_"
_OTLP_MODULES: Final = (
    "opentelemetry.sdk.trace",
    "opentelemetry.exporter.otlp.proto.grpc",
    "opentelemetry.exporter.otlp.proto.http",
)


class Settings(TopicSettings):
    """Immutable settings. The command line loads them and passes them on; no other code reads the environment."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_ignore_empty=True, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    # network
    checkpoint: Path | None = Field(
        None, description="checkpoint folder, or the name of a packaged checkpoint (default, en, small)"
    )
    carry: bool = Field(True, description="carry a stream's state over to its next text")
    not_understood: Literal["score", "neutral", "deadletter"] = Field(
        "score",
        description="what becomes of a text in another language or of unknown words: scored all the same, called "
        "neutral, or made a dead letter; the last two leave state and mood of its stream as they were",
    )
    threads: PositiveInt = Field(1, description="threads that score a batch of texts")
    precision: Literal["float32", "int8", "tf32", "bf16"] = Field(
        "float32",
        description="precision of the word LSTM's weights; int8 and, on cuda, tf32 and bf16 are faster but less exact",
    )
    device: Literal["cpu", "cuda"] = Field("cpu", description="device that runs the word network")

    # micro-batch
    delivery: Literal["exactly_once", "at_least_once"] = Field(
        "exactly_once", description="delivery guarantee; at_least_once is for brokers that forbid transactions"
    )
    on_lost_log: Literal["resume", "stop"] = Field(
        "resume",
        description="what to do when an input topic was created again or its log was cut: go on with what there is, or "
        "stop for you to decide",
    )
    max_batch: PositiveInt = Field(1024, description="maximum number of records scored together")
    max_wait_ms: Annotated[float, Field(ge=0, le=10_000)] = Field(
        50.0, description="longest wait for a fuller micro-batch; it waits as long as commits are slow, and no longer"
    )
    max_inflight_records: PositiveInt = Field(8192, description="maximum number of fetched records not yet committed")
    max_inflight_bytes: PositiveInt = Field(32 << 20, description="maximum bytes of fetched records not yet committed")
    max_text_bytes: PositiveInt = Field(64 << 10, description="longer texts become dead letters")
    max_redrives: PositiveInt = Field(5, description="redrives after which a record that fails again is given up")
    max_clock_skew_s: Seconds = Field(86_400, description="a record dated further in the future becomes a dead letter")

    # state
    flush_interval_s: Annotated[float, Field(ge=0, le=3600)] = Field(
        0.5, description="interval at which states are written to Redis; 0: after every commit"
    )
    max_cached_streams: PositiveInt = Field(200_000, description="maximum number of states kept in the worker's memory")
    state_ttl_s: Seconds = Field(
        30 * 86_400, description="a stream silent for longer starts from an empty state (event time)"
    )
    rebuild_lookback_s: Seconds = Field(
        7 * 86_400, description="how far back the log is replayed to rebuild states when Redis has none"
    )

    # mood
    mood_half_life_s: Seconds = Field(6 * 3600, description="half-life of the running mood (event time)")
    shift_threshold: Annotated[float, Field(gt=0)] = Field(
        17.0, description="decision threshold of the change-point test, in standard deviations"
    )
    shift_drift: Annotated[float, Field(ge=0)] = Field(
        0.5, description="change of the mean that the test tolerates, in standard deviations"
    )

    # group membership and timeouts
    instance_id: TopicName | None = Field(None, description="static group member id, unique to each worker")
    session_timeout_s: ProtocolSeconds = Field(10, description="time after which a silent worker loses its partitions")
    heartbeat_interval_s: ProtocolSeconds = Field(2, description="interval between heartbeats to the group coordinator")
    rebalance_timeout_s: ProtocolSeconds = Field(20, description="longest time that a rebalance waits for a worker")
    transaction_timeout_s: ProtocolSeconds = Field(
        15, description="time after which the broker aborts an open transaction"
    )
    commit_timeout_s: ProtocolSeconds = Field(
        10, description="time after which an unanswered commit counts as undecided"
    )
    revoke_timeout_s: ProtocolSeconds = Field(
        6, description="longest time that work in flight may take to finish at a revocation"
    )
    request_timeout_s: ProtocolSeconds = Field(8, description="timeout of one request to Kafka or Redis")
    progress_timeout_s: Seconds = Field(60, description="/live fails after this long without progress")

    # health and logs
    health_host: Annotated[str, AfterValidator(check_host)] = Field(
        "127.0.0.1", description="address of /metrics, /live and /ready"
    )
    health_port: Port = Field(6066, description="port of /metrics, /live and /ready; 0 picks a free one")

    # live page
    page_host: str = Field("127.0.0.1", description="address of the live page; beyond loopback it needs page_token")
    page_port: Port = Field(8080, description="port of the live page; 0 picks a free one")
    page_token: SecretStr | None = Field(
        None, description="token of 16 characters or more that the live page asks for, once, as ?token=..."
    )

    traces: Literal["off", "otlp"] = Field(
        "off", description="where spans of the worker's steps go; otlp needs the extra otel, and takes OTEL_* variables"
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="lowest level that is logged")
    log_format: Literal["text", "json"] = Field("text", description="format of the log lines")
    crash_at: str | None = Field(None, description="for fault tests: point at which the process kills itself (SIGKILL)")

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        problems = list(self._problems())
        if problems:
            raise ValueError(*problems)
        return self

    def _problems(self) -> list[str]:
        checks = (
            (
                self.heartbeat_interval_s * 3 <= self.session_timeout_s,
                "heartbeat_interval_s must be at most a third of session_timeout_s",
            ),
            (
                self.commit_timeout_s < self.transaction_timeout_s,
                "commit_timeout_s must be below transaction_timeout_s",
            ),
            (
                self.revoke_timeout_s < self.rebalance_timeout_s,
                "revoke_timeout_s must be below rebalance_timeout_s",
            ),
            (self.max_batch <= self.max_inflight_records, "max_batch must not exceed max_inflight_records"),
            (
                self.max_text_bytes <= self.max_inflight_bytes,
                "max_text_bytes must not exceed max_inflight_bytes",
            ),
        )
        return [
            *self.server_problems(),
            *self.topic_problems(),
            *self._page_problems(),
            *self._trace_problems(),
            *(message for is_valid, message in checks if not is_valid),
        ]

    def _page_problems(self) -> Iterator[str]:
        if self.page_token is None:
            if not _is_loopback(self.page_host):
                yield f"page_host {self.page_host} lets other machines in, so that it needs page_token"
        elif not re.fullmatch(r"[A-Za-z0-9._~-]{16,}", self.page_token.get_secret_value()):
            yield "page_token needs 16 characters or more, of letters, digits and . _ ~ -"

    def _trace_problems(self) -> Iterator[str]:
        if self.traces != "off" and not all(map(_is_installed, _OTLP_MODULES)):
            yield f"traces {self.traces} needs OpenTelemetry: pip install '.[otel]'"

    @classmethod
    def settings_customise_sources(  # noqa: D102 - pydantic-settings takes the order of the sources from here
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _TomlFile(settings_cls, _config_file)


class _TomlFile(TomlConfigSettingsSource):
    """A file with or without the byte order mark that some editors write."""

    def _read_file(self, file_path: Any) -> dict[str, Any]:
        return tomllib.loads(file_path.read_text("utf-8-sig"))


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False  # not even the package that it would be in


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False  # a name, which may mean any address


_config_file: Path | None = None


def load_settings(config_file: Path | None = None, **flags: Any) -> Settings:
    """The settings from `flags` (None: not given), the environment and `config_file`.

    Raises SettingsError, which names every invalid setting and what it should be.
    """
    global _config_file  # noqa: PLW0603 - pydantic-settings reads its sources from the class, not from a call
    if config_file is not None and not config_file.is_file():
        raise SettingsError(f"--config {config_file}: no such file")
    _config_file = config_file
    given = {name: value for name, value in flags.items() if value is not None}
    problems = list(unknown_variables(os.environ, ENV_PREFIX, Settings.model_fields))
    try:
        settings = Settings(**given)
    except ValidationError as error:
        problems += find_problems(error, Settings, given)
        raise SettingsError.of(problems) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SettingsError(f"--config {config_file}: {error}") from error
    finally:
        _config_file = None
    if problems:
        raise SettingsError.of(problems)
    return settings
