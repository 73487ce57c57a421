"""The settings that say where the servers are and how to log in to them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings

from worker.servers.addresses import (
    RedisAddress,
    RedisKind,
    check_http_url,
    check_kafka_servers,
    check_redis_url,
    parse_redis_url,
)
from worker.servers.tls import OF_REDIS_URL, TlsFiles, TlsNames

HttpUrl = Annotated[str, AfterValidator(check_http_url)]

PASSWORD_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
# What a mechanism needs beside Python's own: the module, and how it is installed.
_LIBRARIES = {
    "GSSAPI": ("gssapi", "pip install gssapi (it needs the headers of Kerberos)"),
    "AWS_MSK_IAM": ("aws_msk_iam_sasl_signer", "pip install '.[msk]'"),
}
# What a format needs beside the core: modules of the extra `registry`.
_CLIENT_MODULES = ("confluent_kafka", "httpx", "authlib")
_FORMAT_MODULES = {"avro": ("fastavro",), "protobuf": ("grpc_tools",), "json-schema": ()}


class ServerSettings(BaseSettings):
    """Where the servers are, and how to log in to them."""

    kafka: Annotated[str, AfterValidator(check_kafka_servers)] = Field(
        "127.0.0.1:9092", description="Kafka bootstrap servers: host:port, comma-separated"
    )
    redis: Annotated[str, AfterValidator(check_redis_url)] = Field(
        "redis://127.0.0.1:6379/0",
        repr=False,  # it may hold a password
        description="Redis URL: redis://, rediss:// (TLS), unix://, redis+sentinel://HOST,HOST/MASTER or "
        "redis+cluster://HOST,HOST",
    )
    prometheus: HttpUrl | None = Field(None, description="Prometheus base URL, if there is one")

    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="security protocol of the brokers"
    )
    kafka_ca_file: Path | None = Field(None, description="CA certificate that verifies the brokers (PEM)")
    kafka_certificate_file: Path | None = Field(
        None, description="certificate that the worker shows the brokers, with its chain (PEM)"
    )
    kafka_key_file: Path | None = Field(None, description="private key of that certificate (PEM), if in another file")
    kafka_key_password: SecretStr | None = Field(None, description="password of that key")
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "AWS_MSK_IAM", "GSSAPI"] = (
        Field("SCRAM-SHA-512", description="SASL mechanism, for the SASL protocols")
    )
    kafka_username: str | None = Field(None, description="SASL user name")
    kafka_password: SecretStr | None = Field(None, description="SASL password")
    kafka_oauth_token_url: HttpUrl | None = Field(None, description="OIDC token endpoint, for OAUTHBEARER")
    kafka_oauth_client_id: str | None = Field(None, description="OIDC client id")
    kafka_oauth_client_secret: SecretStr | None = Field(None, description="OIDC client secret")
    kafka_oauth_scope: str | None = Field(None, description="OIDC scope, if the endpoint needs one")
    kafka_oauth_ca_file: Path | None = Field(None, description="CA certificate that verifies the endpoint (PEM)")
    kafka_aws_region: str | None = Field(None, description="AWS region of the cluster, for AWS_MSK_IAM")
    kafka_kerberos_service: str = Field("kafka", description="Kerberos service name of the brokers, for GSSAPI")

    redis_username: str | None = Field(None, description="Redis user, in place of the one in the URL")
    redis_password: SecretStr | None = Field(None, description="Redis password, in place of the one in the URL")
    redis_ca_file: Path | None = Field(None, description="CA certificate that verifies Redis (PEM)")
    redis_certificate_file: Path | None = Field(
        None, description="certificate that the worker shows Redis, with its chain (PEM)"
    )
    redis_key_file: Path | None = Field(None, description="private key of that certificate (PEM), if in another file")
    redis_key_password: SecretStr | None = Field(None, description="password of that key")
    redis_sentinel_username: str | None = Field(None, description="user of the Sentinels, if they want a login")
    redis_sentinel_password: SecretStr | None = Field(None, description="password of the Sentinels")

    registry: HttpUrl | None = Field(
        None, description="URL of the schema registry, for the formats avro, protobuf and json-schema"
    )
    registry_username: str | None = Field(None, description="user of the schema registry, if it wants a login")
    registry_password: SecretStr | None = Field(None, description="password of that user")
    registry_ca_file: Path | None = Field(None, description="CA certificate that verifies the schema registry (PEM)")

    @property
    def kafka_tls(self) -> TlsFiles:
        """The files of a TLS connection to the brokers."""
        return TlsFiles(self.kafka_ca_file, self.kafka_certificate_file, self.kafka_key_file, self.kafka_key_password)

    @property
    def redis_tls(self) -> TlsFiles:
        """The files of a TLS connection to Redis."""
        return TlsFiles(self.redis_ca_file, self.redis_certificate_file, self.redis_key_file, self.redis_key_password)

    @property
    def redis_parts(self) -> RedisAddress:
        """`redis`, taken apart."""
        return parse_redis_url(self.redis)

    @property
    def redis_address(self) -> str:
        """`redis` without user, password and options, for messages."""
        return str(self.redis_parts)

    def server_problems(self) -> Iterator[str]:
        """What does not fit together, or names a file that cannot be used."""
        yield from self._kafka_problems()
        yield from self._redis_problems()

    def _kafka_problems(self) -> Iterator[str]:
        yield from self.kafka_tls.find_problems(TlsNames.of("kafka"))
        yield from TlsFiles(self.kafka_oauth_ca_file, None, None, None).find_problems(TlsNames.of("kafka_oauth"))
        if self.kafka_security.startswith("SASL"):
            yield from self._login_problems()
        elif self.kafka_username:
            yield "kafka_username needs kafka_security SASL_SSL or SASL_PLAINTEXT"
        if not self.kafka_security.endswith("SSL"):
            named = [name for name in ("kafka_ca_file", "kafka_certificate_file") if getattr(self, name)]
            yield from (f"{name} needs kafka_security SSL or SASL_SSL" for name in named)
        if self.kafka_oauth_ca_file and not (self.kafka_oauth_token_url or "").startswith("https"):
            yield "kafka_oauth_ca_file needs a kafka_oauth_token_url with https"

    def _redis_problems(self) -> Iterator[str]:
        address = self.redis_parts
        yield from self.redis_tls.find_problems(TlsNames.of("redis"))
        ca, certificate, key = (address.options.get(name) for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"))
        password = address.options.get("ssl_password")
        yield from TlsFiles(
            Path(ca) if ca else None,
            Path(certificate) if certificate else None,
            Path(key) if key else None,
            SecretStr(password) if password else None,
        ).find_problems(OF_REDIS_URL)
        if not address.is_tls:
            options = [name for name in address.options if name.startswith("ssl")]
            files = [name for name in ("redis_ca_file", "redis_certificate_file") if getattr(self, name)]
            if named := files + options:
                yield f"{' and '.join(named)} need{'s' * (len(named) == 1)} a redis URL with rediss"
        if (self.redis_sentinel_username or self.redis_sentinel_password) and address.kind is not RedisKind.SENTINEL:
            yield "redis_sentinel_username and redis_sentinel_password need a redis URL with redis+sentinel"

    def registry_problems(self, inputs: set[str], outputs: set[str]) -> Iterator[str]:
        """What is missing or wrong for the formats of inputs and outputs that need a schema registry."""
        yield from TlsFiles(self.registry_ca_file, None, None, None).find_problems(TlsNames.of("registry"))
        if bool(self.registry_username) != bool(self.registry_password):
            yield "registry_username and registry_password need each other"
        if ":" in (self.registry_username or ""):
            yield "registry_username must not hold a colon"
        if self.registry_ca_file and not (self.registry or "").startswith("https"):
            yield "registry_ca_file needs a registry URL with https"
        named = ", ".join([*(f"format {name}" for name in sorted(inputs)), *(f"output_format {n}" for n in outputs)])
        if not named:
            return
        if self.registry is None:
            yield f"{named} needs registry, the URL of the schema registry"
        modules = {module for name in inputs | outputs for module in (*_CLIENT_MODULES, *_FORMAT_MODULES[name])}
        missing = sorted(module for module in modules if find_spec(module) is None)
        if missing:
            yield f"{named} needs the Python package {', '.join(missing)}: pip install '.[registry]'"

    def _login_problems(self) -> Iterator[str]:
        mechanism = self.kafka_sasl_mechanism
        if mechanism in PASSWORD_MECHANISMS and not (self.kafka_username and self.kafka_password):
            yield "kafka_security with SASL needs kafka_username and kafka_password"
        if mechanism == "OAUTHBEARER" and not (
            self.kafka_oauth_token_url and self.kafka_oauth_client_id and self.kafka_oauth_client_secret
        ):
            yield "OAUTHBEARER needs kafka_oauth_token_url, kafka_oauth_client_id and kafka_oauth_client_secret"
        if mechanism == "AWS_MSK_IAM" and not self.kafka_aws_region:
            yield "AWS_MSK_IAM needs kafka_aws_region"
        if mechanism == "AWS_MSK_IAM" and self.kafka_security != "SASL_SSL":
            yield "AWS_MSK_IAM needs kafka_security SASL_SSL"
        module, remedy = _LIBRARIES.get(mechanism, ("ssl", ""))
        if find_spec(module) is None:
            yield f"kafka_sasl_mechanism {mechanism} needs the Python package {module}: {remedy}"
