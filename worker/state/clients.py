"""Clients of Redis, however it is run: one server, Sentinels with their master, or a cluster."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError

from worker.servers.addresses import RedisKind
from worker.settings import Settings
from worker.state.connections import name_losses

# Redis does not take part: it is away, refuses, or moves. What a cluster's client raises has a base of its own.
REDIS_ERRORS = (RedisError, RedisClusterException, OSError)


def connect(settings: Settings) -> Any:
    """The client that the settings name; it connects when it is first used."""
    address = settings.redis_parts
    options = _options(settings)
    if address.kind is RedisKind.SENTINEL:
        sentinel: Any = Sentinel(  # type: ignore[no-untyped-call]  # as redis-py has it
            address.nodes, sentinel_kwargs=_sentinel_options(settings, options), ssl=address.is_tls, **options
        )
        name_losses(sentinel)
        client: Any = sentinel.master_for(address.master, db=address.db)
    elif address.kind is RedisKind.CLUSTER:
        nodes = [ClusterNode(*node) for node in address.nodes]
        client = RedisCluster(startup_nodes=nodes, ssl=address.is_tls, **options)
    elif address.path:
        client = Redis(unix_socket_path=address.path, db=address.db, **options)
    else:
        ((host, port),) = address.nodes
        client = Redis(host=host, port=port, db=address.db, ssl=address.is_tls, **options)
    name_losses(client)
    return client


def _options(settings: Settings) -> dict[str, Any]:
    """What each connection is made with; a setting counts more than the URL."""
    options: dict[str, Any] = {
        "socket_timeout": settings.request_timeout_s,
        "socket_connect_timeout": settings.request_timeout_s,
        # The callers bound their retries; the client's own would outlast every bound.
        "retry": Retry(NoBackoff(), 0),
    } | _named_in_url(settings.redis)
    if settings.redis_username:
        options["username"] = settings.redis_username
    if settings.redis_password:
        options["password"] = settings.redis_password.get_secret_value()
    tls = settings.redis_tls
    if tls.ca:
        options["ssl_ca_certs"] = str(tls.ca)
    if tls.certificate:
        options["ssl_certfile"] = str(tls.certificate)
        options["ssl_keyfile"] = str(tls.key or tls.certificate)
    if tls.key_password:
        options["ssl_password"] = tls.key_password.get_secret_value()
    return options


def _named_in_url(url: str) -> dict[str, Any]:
    """The login and the options of a URL, as the client itself reads them in one of a single server."""
    login, _, rest = url.partition("://")[2].rpartition("@")
    options = dict(parse_url(f"redis://{login}@host?{rest.partition('?')[2]}"))
    return {name: value for name, value in options.items() if name not in {"host", "port", "db", "connection_class"}}


def _sentinel_options(settings: Settings, options: dict[str, Any]) -> dict[str, Any]:
    """Sentinels have a login of their own; the rest is as for the master."""
    found = {name: value for name, value in options.items() if name not in {"username", "password"}}
    if settings.redis_sentinel_username:
        found["username"] = settings.redis_sentinel_username
    if settings.redis_sentinel_password:
        found["password"] = settings.redis_sentinel_password.get_secret_value()
    return found | {"ssl": settings.redis_parts.is_tls}
