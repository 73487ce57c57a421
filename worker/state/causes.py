"""Why Redis refuses something, and what to do."""

from __future__ import annotations

import asyncio
import ssl

from redis.exceptions import AskError, AuthenticationError, InvalidResponse, NoPermissionError

from worker.errors import DependencyError
from worker.servers.addresses import RedisKind
from worker.servers.causes import Cause, errors_of, find_cause, no_tls, tell_protocol, wants_tls
from worker.settings import Settings

_PROBE_S = 2.0
_DOCS = "docs/connect.md lists what the worker needs"

_OF_SCRIPTS = "hget, hmget, hset, hsetnx, hdel, set, del, pexpire, time"

_LOGIN = Cause("it refuses the login", "Correct the user and the password, in the URL or the settings")
_NODE = Cause("it is a node of a Redis Cluster", "Name some of its nodes with redis+cluster://HOST:PORT,HOST:PORT")

# What an answer says, and what it stands for. The first that fits counts.
_ANSWERS = (
    (
        ("no permissions", "NOPERM", "has no permissions"),
        Cause("this user lacks a right", f"`ACL SETUSER` grants it; {_DOCS}"),
    ),
    (
        ("EXEC without MULTI",),
        Cause("this user lacks a right: it refuses MULTI", f"`ACL SETUSER` grants it; {_DOCS}"),
    ),
    (
        ("can't run this command", "executing the script"),  # Redis before 7.2, which does not name the command
        Cause(
            f"this user lacks a right to a command of the scripts: {_OF_SCRIPTS}",
            f"`ACL SETUSER` grants it; {_DOCS}",
        ),
    ),
    (
        ("WRONGPASS", "NOAUTH", "Authentication required", "invalid username-password", "invalid password"),
        _LOGIN,
    ),
    (
        ("without any password configured", "no password is set"),
        Cause("it knows no password", "Leave the password out of the settings, or give Redis one"),
    ),
    (
        ("READONLY", "read only replica", "read-only replica", "now a slave"),
        Cause(
            "it is a replica, which takes no writes",
            "Name the master, or its Sentinels with redis+sentinel://HOST:PORT/MASTER",
        ),
    ),
    (
        ("CLUSTERDOWN", "MOVED", "CROSSSLOT", "slot"),
        _NODE,
    ),
    (
        ("cluster support disabled", "Cluster mode is not enabled"),
        Cause("it is no Redis Cluster", "Write redis:// in place of redis+cluster://"),
    ),
    (
        ("No master found",),
        Cause(
            "the Sentinels know no master of this name, or do not answer",
            "Correct the addresses or the name in the URL",
        ),
    ),
    (
        ("unknown command", "script"),
        Cause(
            "it forbids a command that the worker needs",
            f"Allow it (see rename-command); {_DOCS}",
        ),
    ),
    (
        ("DB index",),
        Cause("it has no database of this number", "Name another after the last slash of --redis (SENTIMENT_REDIS)"),
    ),
    (("max number of clients",), Cause("it takes no more connections", "Raise its maxclients")),
    (("protected mode",), Cause("it takes connections of its own machine alone", "Give it a password, and use it")),
    (("BUSY ", "busy running a script"), Cause("a script runs in it and does not end", "Run `redis-cli script kill`")),
    (("OOM ", "maxmemory"), Cause("it is full", "Raise its maxmemory, or lower state_ttl_s")),
    (
        ("MISCONF", "unable to persist"),
        Cause("it cannot save to its disk, and takes no writes", "Look at its log"),
    ),
    (
        ("NOREPLICAS",),
        Cause("it lacks replicas, and takes no writes", "Start them, or lower min-replicas-to-write"),
    ),
    (("LOADING", "loading the dataset"), Cause("it still loads its data", "Wait until it has")),
)


def redis_cause(settings: Settings, error: BaseException) -> Cause | None:
    """The cause that an error of redis-py, the network or TLS stands for; None for another."""
    found = find_cause(error, "redis", has_certificate=settings.redis_certificate_file is not None)
    if found is not None:
        return found
    in_cluster = settings.redis_parts.kind is RedisKind.CLUSTER
    # A cluster's client takes any refusal of its first question for a server that is no cluster.
    for one in sorted(errors_of(error), key=lambda one: not isinstance(one, NoPermissionError)):
        said = f"MOVED {one}" if isinstance(one, AskError) else str(one)
        for words, cause in _ANSWERS:
            if any(word.lower() in said.lower() for word in words):
                if in_cluster and cause is _NODE:
                    return Cause(f"the cluster is not whole ({said})", "Look at `redis-cli cluster info`")
                return Cause(f"{cause.problem} ({said})", cause.advice)
        if isinstance(one, NoPermissionError | AuthenticationError):
            return Cause(f"it refuses the login ({said})", _LOGIN.advice)
        if isinstance(one, InvalidResponse):
            return Cause(f"it does not speak Redis' protocol ({said})", "Name a Redis with --redis (SENTIMENT_REDIS)")
    return None


def redis_away(settings: Settings, error: BaseException) -> DependencyError:
    """The error that says what is wrong with Redis, and what to do."""
    cause = redis_cause(settings, error)
    if cause is None:
        said = str(error) or type(error).__name__
        cause = Cause(f"does not answer ({said})", "Start it, or name another with --redis (SENTIMENT_REDIS)")
    return DependencyError("Redis", settings.redis_address, *cause)


async def redis_trouble(settings: Settings, error: BaseException) -> DependencyError:
    """The same, after a look at what listens there where the error does not say what is wrong."""
    address = settings.redis_parts
    cause = redis_cause(settings, error)
    if cause is None and address.nodes:
        cause = await _look_closer(settings, *address.nodes[0])
    return redis_away(settings, error) if cause is None else DependencyError("Redis", settings.redis_address, *cause)


async def _look_closer(settings: Settings, host: str, port: int) -> Cause | None:
    """What a server is that takes a connection and then does not answer as Redis does."""
    plain = await _ask(host, port, None)
    if isinstance(plain, bytes) and tell_protocol(plain) == "HTTP":
        return Cause("it speaks HTTP, not Redis' protocol", "Name a Redis with --redis (SENTIMENT_REDIS)")
    if not settings.redis_parts.is_tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return None if isinstance(await _ask(host, port, context), OSError | TimeoutError) else wants_tls("redis")
    if isinstance(plain, bytes) and tell_protocol(plain) == "Redis' protocol":
        return no_tls("redis")
    encrypted = await _ask(host, port, settings.redis_tls.context())
    return redis_cause(settings, encrypted) if isinstance(encrypted, Exception) else None


async def _ask(host: str, port: int, context: ssl.SSLContext | None) -> bytes | OSError | TimeoutError:
    """What the server answers to a line that is no command of Redis and a request of HTTP, or the error."""
    try:
        async with asyncio.timeout(_PROBE_S):
            reader, writer = await asyncio.open_connection(host, port, ssl=context)
            try:
                writer.write(b"GET / HTTP/1.0\r\n\r\n")
                return await reader.read(16)
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError) as error:
        return error
