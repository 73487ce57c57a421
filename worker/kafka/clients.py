"""Connections to Kafka: what every client is given."""

from __future__ import annotations

import ssl
from typing import Any

import faust

from worker.errors import DependencyError
from worker.settings import Settings


def client_options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments that every aiokafka client of this process is made with."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka,
        "request_timeout_ms": int(settings.request_timeout_s * 1000),
        "security_protocol": settings.kafka_security,
    }
    if settings.kafka_security.endswith("SSL"):
        options["ssl_context"] = _ssl_context(settings)
    if settings.kafka_security.startswith("SASL") and settings.kafka_password:
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
        options["sasl_plain_username"] = settings.kafka_username
        options["sasl_plain_password"] = settings.kafka_password.get_secret_value()
    return options


def faust_credentials(settings: Settings) -> Any:
    """The same, in the form in which Faust takes it; None for a plain connection."""
    if settings.kafka_security.startswith("SASL") and settings.kafka_password:
        return faust.SASLCredentials(
            mechanism=settings.kafka_sasl_mechanism,
            username=settings.kafka_username,
            password=settings.kafka_password.get_secret_value(),
            ssl_context=_ssl_context(settings) if settings.kafka_security == "SASL_SSL" else None,
        )
    return faust.SSLCredentials(context=_ssl_context(settings)) if settings.kafka_security == "SSL" else None


def _ssl_context(settings: Settings) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=settings.kafka_ca_file)


def kafka_away(settings: Settings, error: BaseException) -> DependencyError:
    """The error that says that Kafka is away, and what to do."""
    advice = "Start it (`sentiment stack` runs a local one), or name another with --kafka (SENTIMENT_KAFKA)"
    # Errors of aiokafka and kafka-python begin with their name; others may have no text at all.
    return DependencyError("Kafka", settings.kafka, f"does not answer ({str(error) or type(error).__name__})", advice)
