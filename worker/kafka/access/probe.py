"""Finds out why no client can connect: connects once to each server, as a client would, and looks at what it answers.

aiokafka tells its log why it could not connect, and its caller only that it could not.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError, UnsupportedSaslMechanismError
from aiokafka.protocol.admin import SaslHandShakeRequest
from aiokafka.protocol.metadata import MetadataRequest

from worker.errors import DependencyError
from worker.kafka.access.causes import kafka_away, kafka_cause
from worker.kafka.access.security import security_options, tls_context
from worker.servers.addresses import HostPort, parse_kafka_servers
from worker.servers.causes import Cause, no_tls, tell_protocol, wants_tls
from worker.settings import Settings

_MAX_PROBE_S = 3.0
_GET = b"GET / HTTP/1.0\r\n\r\n"


async def kafka_trouble(settings: Settings, error: BaseException) -> DependencyError:
    """The error that says why Kafka could not be reached, as far as another try tells; `error` is what came of one."""
    cause = kafka_cause(settings, error)
    if cause is None:
        causes = await asyncio.gather(*(_probe(settings, server) for server in parse_kafka_servers(settings.kafka)))
        cause = next(filter(None, causes), None)
    return kafka_away(settings, error) if cause is None else DependencyError("Kafka", settings.kafka, *cause)


async def _probe(settings: Settings, server: HostPort) -> Cause | None:
    """What is wrong with one of the servers; None for nothing that can be seen."""
    try:
        connection = await _connect(settings, server, security_options(settings))
    except UnsupportedSaslMechanismError:
        known = await _mechanisms(settings, server)
        problem = f"it does not know the SASL mechanism {settings.kafka_sasl_mechanism}, but {known}"
        return Cause(problem, "Set --kafka-sasl-mechanism to one of those")
    except (KafkaError, OSError, TimeoutError) as error:
        return kafka_cause(settings, error) or await _look_closer(settings, server)
    try:
        metadata = await connection.send(MetadataRequest([]))
    except (KafkaError, OSError, TimeoutError) as error:
        return kafka_cause(settings, error) or await _wants_login(settings, server)
    finally:
        connection.close()
    return await _unreachable_broker(settings, server, metadata.brokers)


async def _connect(settings: Settings, server: HostPort, security: dict[str, Any]) -> Any:
    timeout_ms = int(min(settings.request_timeout_s, _MAX_PROBE_S) * 1000)
    return await create_conn(*server, request_timeout_ms=timeout_ms, **security)


async def _look_closer(settings: Settings, server: HostPort) -> Cause | None:
    """What a server is that takes a connection and then does not answer as Kafka does."""
    if settings.kafka_security.endswith("SSL"):
        return no_tls("kafka") if await _speaks(server, None) is not None else None
    protocol = tell_protocol(await _speaks(server, None) or b"")
    if protocol in {"HTTP", "Redis' protocol"}:
        return Cause(f"it speaks {protocol}, not Kafka's", "Name a Kafka listener with --kafka (SENTIMENT_KAFKA)")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return wants_tls("kafka") if await _speaks(server, context) is not None else None


async def _speaks(server: HostPort, context: ssl.SSLContext | None) -> bytes | None:
    """What the server answers to a request of HTTP, b'' for nothing; None where it cannot be spoken to so."""
    try:
        async with asyncio.timeout(_MAX_PROBE_S):
            reader, writer = await asyncio.open_connection(*server, ssl=context)
    except (OSError, TimeoutError):
        return None
    try:
        async with asyncio.timeout(1.0):
            writer.write(_GET)
            return await reader.read(16)
    except (OSError, TimeoutError):
        return b""
    finally:
        writer.transport.abort()


async def _wants_login(settings: Settings, server: HostPort) -> Cause | None:
    """A SASL listener hangs up on whoever sends a request before the login."""
    mechanisms = await _mechanisms(settings, server)
    if not mechanisms or settings.kafka_security.startswith("SASL"):
        return None
    return Cause(
        f"it wants a login, and hangs up on whoever has none (it knows {mechanisms})",
        "Set --kafka-security SASL_SSL or SASL_PLAINTEXT, --kafka-sasl-mechanism, --kafka-username and the password",
    )


async def _mechanisms(settings: Settings, server: HostPort) -> str:
    """The SASL mechanisms that a listener knows; '' where it tells none."""
    security = {"security_protocol": "SSL", "ssl_context": tls_context(settings)}
    if not settings.kafka_security.endswith("SSL"):
        security = {"security_protocol": "PLAINTEXT"}
    try:
        connection = await _connect(settings, server, security)
        answer = await connection.send(SaslHandShakeRequest("none"))
    except (KafkaError, OSError, TimeoutError):
        return ""
    connection.close()
    return ", ".join(sorted(answer.enabled_mechanisms))


async def _unreachable_broker(settings: Settings, server: HostPort, brokers: list[Any]) -> Cause | None:
    """A cluster may be known by names (advertised.listeners) that mean nothing here."""
    for _, host, port, *_ in brokers:
        if (host, port) == server:
            continue
        try:
            (await _connect(settings, HostPort(host, port), security_options(settings))).close()
        except (KafkaError, OSError, TimeoutError) as error:
            cause = kafka_cause(settings, error)
            problem = cause.problem if cause else f"does not answer ({error or type(error).__name__})"
            return Cause(
                f"{server} answers, but the broker that it names as {HostPort(host, port)} cannot be used: {problem}",
                "Correct advertised.listeners of the brokers, or make this name known here",
            )
    return None
