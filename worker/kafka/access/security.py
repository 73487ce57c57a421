"""Encryption and login, in the form in which each library takes them: aiokafka, kafka-python and Faust."""

from __future__ import annotations

import ssl
from typing import Any

import faust
from faust.auth import OAuthCredentials

from worker.kafka.access.tokens import AiokafkaTokens, kafka_python_tokens, token_source
from worker.settings import Settings

_TOKENS = {"OAUTHBEARER", "AWS_MSK_IAM"}


def security_options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments of every client of aiokafka."""
    options = _common_options(settings)
    if _wants_tokens(settings):
        options["sasl_oauth_token_provider"] = AiokafkaTokens(token_source(settings))
    return options


def kafka_python_security(settings: Settings) -> dict[str, Any]:
    """The same for kafka-python."""
    options = _common_options(settings)
    if _wants_tokens(settings):
        options["sasl_oauth_token_provider"] = kafka_python_tokens(token_source(settings))
    return options


def faust_credentials(settings: Settings) -> Any:
    """The same, in the form in which Faust takes it; None for a plain connection."""
    context = tls_context(settings)
    if not settings.kafka_security.startswith("SASL"):
        return None if context is None else faust.SSLCredentials(context=context)
    if _wants_tokens(settings):
        return OAuthCredentials(oauth_cb=AiokafkaTokens(token_source(settings)), ssl_context=context)
    if settings.kafka_sasl_mechanism == "GSSAPI":
        return faust.GSSAPICredentials(
            kerberos_service_name=settings.kafka_kerberos_service, mechanism="GSSAPI", ssl_context=context
        )
    return faust.SASLCredentials(
        mechanism=settings.kafka_sasl_mechanism,
        username=settings.kafka_username,
        password=settings.kafka_password.get_secret_value() if settings.kafka_password else None,
        ssl_context=context,
    )


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """The context of a connection to the brokers; None where it is not encrypted."""
    return settings.kafka_tls.context() if settings.kafka_security.endswith("SSL") else None


def _common_options(settings: Settings) -> dict[str, Any]:
    options: dict[str, Any] = {"security_protocol": settings.kafka_security}
    context = tls_context(settings)
    if context is not None:
        options["ssl_context"] = context
    if not settings.kafka_security.startswith("SASL"):
        return options
    options["sasl_mechanism"] = "OAUTHBEARER" if _wants_tokens(settings) else settings.kafka_sasl_mechanism
    if settings.kafka_sasl_mechanism == "GSSAPI":
        options["sasl_kerberos_service_name"] = settings.kafka_kerberos_service
    elif settings.kafka_password:
        options["sasl_plain_username"] = settings.kafka_username
        options["sasl_plain_password"] = settings.kafka_password.get_secret_value()
    return options


def _wants_tokens(settings: Settings) -> bool:
    return settings.kafka_security.startswith("SASL") and settings.kafka_sasl_mechanism in _TOKENS
