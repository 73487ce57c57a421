"""A schema registry with Confluent's interface, asked through Confluent's own client (extra `registry`)."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Collection
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, Literal, NamedTuple, TypeVar

from worker.errors import DependencyError, Reason, RecordError, SettingsError
from worker.retries import retry_blocking
from worker.servers.causes import Cause, find_tls_cause
from worker.settings import Settings

Kind = Literal["AVRO", "PROTOBUF", "JSON"]
Answer = TypeVar("Answer")

_MAX_ID: Final = (1 << 31) - 1
_WAIT_S, _TIMEOUT_S = 0.3, 2.0
_UNKNOWN_SCHEMA, _UNKNOWN_SUBJECT = 40403, (40401, 40402)
_HTTP_LIBRARIES: Final = ("httpx", "httpx2")  # the client takes the second where both are installed
_NOT_FOUND, _CONFLICT, _TOO_MANY, _SERVER_ERROR = 404, 409, 429, 500


class RegisteredSchema(NamedTuple):
    """A schema as it is registered. references: name and text of what it imports, dependencies first."""

    id: int
    kind: Kind
    text: str
    references: tuple[tuple[str, str], ...]


class Registry:
    """Schemas by id, which never change, and the registration of our own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._schemas: dict[int, RegisteredSchema] = {}
        self._unknown: set[int] = set()
        self._lock = threading.Lock()

    def kinds(self) -> list[str]:
        """The kinds of schemas that the registry takes. Blocks. Raises DependencyError when it does not answer."""
        return list(self._ask("the kinds of its schemas", self._client.get_schema_types))

    def missing(self, ids: Collection[int]) -> set[int]:
        """Those of `ids` that `fetch` has not found."""
        return {schema_id for schema_id in ids if schema_id not in self._schemas}

    def fetch(self, ids: Collection[int]) -> None:
        """Fetch the schemas `ids`, so that `schema` answers from memory. Blocks. Raises DependencyError."""
        with self._lock:
            self._unknown.clear()
            for schema_id in self.missing(ids):
                self._fetch(schema_id)

    def schema(self, schema_id: int) -> RegisteredSchema:
        """The schema of this id; blocks where it was not fetched before.

        Raises RecordError: UNKNOWN_SCHEMA. Raises DependencyError when the registry does not answer.
        """
        if schema_id not in self._schemas and schema_id not in self._unknown:
            self._fetch(schema_id)
        found = self._schemas.get(schema_id)
        if found is None:
            raise RecordError(Reason.UNKNOWN_SCHEMA, f"the schema registry has no schema {schema_id}")
        return found

    def register(self, subject: str, kind: Kind, text: str) -> int:
        """The id of the schema under `subject`, registered if it is new. Blocks.

        Raises DependencyError when the registry does not answer, refuses, or finds the schema incompatible with those
        that the subject has.
        """
        schema = self._module.Schema(text, kind)
        if not self._ask(f"the compatibility of {subject}", lambda: self._is_compatible(subject, schema)):
            raise self._incompatible(subject)
        return int(self._ask(f"the schema of {subject}", lambda: self._client.register_schema(subject, schema)))

    def _is_compatible(self, subject: str, schema: Any) -> bool:
        try:
            return bool(self._client.test_compatibility(subject, schema))
        except self._module.SchemaRegistryError as error:
            if error.error_code in _UNKNOWN_SUBJECT or error.http_status_code == _NOT_FOUND:
                return True
            raise

    def _fetch(self, schema_id: int) -> None:
        found = self._ask(f"schema {schema_id}", lambda: self._load(schema_id)) if schema_id <= _MAX_ID else None
        if found is None:
            self._unknown.add(schema_id)
        else:
            self._schemas[schema_id] = found

    def _load(self, schema_id: int) -> RegisteredSchema | None:
        try:
            schema = self._client.get_schema(schema_id)
        except self._module.SchemaRegistryError as error:
            if error.error_code == _UNKNOWN_SCHEMA:
                return None
            raise
        references: dict[str, str] = {}
        self._collect(schema, references)
        return RegisteredSchema(schema_id, schema.schema_type or "AVRO", schema.schema_str, tuple(references.items()))

    def _collect(self, schema: Any, into: dict[str, str]) -> None:
        for reference in schema.references or ():
            if reference.name not in into:
                imported = self._client.get_version(reference.subject, reference.version).schema
                self._collect(imported, into)
                into[reference.name] = imported.schema_str

    def _ask(self, what: str, call: Callable[[], Answer]) -> Answer:
        """The answer of `call`, again and again within the request timeout. Raises DependencyError."""
        try:
            return retry_blocking(
                call, is_passing=self._is_passing, wait_s=_WAIT_S, timeout_s=self._settings.request_timeout_s
            )
        except self._module.SchemaRegistryError as error:
            if error.http_status_code == _CONFLICT:
                raise self._incompatible(what.removeprefix("the schema of ")) from error
            problem = f"it refuses {what} ({error.http_status_code}: {error.error_message})"
            raise self._away(problem, "Check its URL and registry_username and registry_password.") from error
        except _http_errors("HTTPError") as error:
            cause = _tls_cause(error)
            if cause is not None:
                raise self._away(*cause) from error
            problem = f"it does not answer for {what} ({type(error).__name__}: {error})"
            raise self._away(problem, "Start it, or check its URL and registry_ca_file.") from error
        except (ValueError, TypeError, KeyError) as error:
            raise self._away(f"its answer for {what} is none of a registry", "Check its URL.") from error

    def _incompatible(self, subject: str) -> DependencyError:
        problem = f"the schema of this version is not compatible with those of {subject}"
        advice = "Choose another topic or output_format, or change the subject's compatibility level."
        return self._away(problem, advice)

    def _away(self, problem: str, advice: str) -> DependencyError:
        return DependencyError("the schema registry", self._settings.registry or "", problem, advice)

    def _is_passing(self, error: Exception) -> bool:
        if isinstance(error, self._module.SchemaRegistryError):
            return bool(error.http_status_code == _TOO_MANY or error.http_status_code >= _SERVER_ERROR)
        return isinstance(error, _http_errors("TransportError")) and _tls_cause(error) is None

    @cached_property
    def _module(self) -> Any:
        with warnings.catch_warnings(record=True):  # authlib warns of the name of httpx, past every filter
            from confluent_kafka import schema_registry  # noqa: PLC0415 - the extra `registry`

        for name in _HTTP_LIBRARIES:
            logging.getLogger(name).setLevel(logging.WARNING)  # they log every request
        return schema_registry

    @cached_property
    def _client(self) -> Any:
        settings = self._settings
        if settings.registry is None:
            raise SettingsError("this payload needs the setting registry: the URL of the schema registry")
        # The timeout is that of each wait: for a connection, for a free one, for the next bytes. Without one the
        # client waits for ever. Its retries come on top, so that `_ask` does them.
        options: dict[str, Any] = {"url": settings.registry, "timeout": _TIMEOUT_S, "max.retries": 0}
        if settings.registry_ca_file:
            options["ssl.ca.location"] = str(settings.registry_ca_file)
        if settings.registry_username and settings.registry_password:
            login = f"{settings.registry_username}:{settings.registry_password.get_secret_value()}"
            options["basic.auth.user.info"] = login
        return self._module.SchemaRegistryClient(options)


def _tls_cause(error: Exception) -> Cause | None:
    return find_tls_cause(error, "registry", has_certificate=False)


def _http_errors(name: str) -> tuple[type[Exception], ...]:
    """The error classes `name` of the HTTP libraries that are installed."""
    installed = [library for library in _HTTP_LIBRARIES if find_spec(library) is not None]
    return tuple(getattr(import_module(library), name) for library in installed)
