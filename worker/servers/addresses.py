"""Addresses of servers as people write them, checked without asking any server."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

KAFKA_PORT, REDIS_PORT, SENTINEL_PORT = 9092, 6379, 26379

_SWITCHES = {"true", "false", "yes", "no", "1", "0"}


class HostPort(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class RedisKind(StrEnum):
    """How Redis is run."""

    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


class RedisAddress(NamedTuple):
    """A Redis URL, taken apart.

    nodes: the servers, the Sentinels or some nodes of the cluster; empty for a Unix socket at `path`. master: the name
    by which the Sentinels know it. options: what follows the question mark.
    """

    kind: RedisKind
    is_tls: bool
    nodes: tuple[HostPort, ...]
    path: str
    master: str
    db: int
    username: str | None
    password: str | None
    options: dict[str, str]

    def __str__(self) -> str:
        """The URL without user, password and options, for messages."""
        if self.path:
            return f"unix://{self.path}"
        scheme = ("rediss" if self.is_tls else "redis") + ("" if self.kind is RedisKind.SINGLE else f"+{self.kind}")
        master = f"/{self.master}" if self.master else ""
        db = "" if self.kind is RedisKind.CLUSTER else f"/{self.db}"
        return f"{scheme}://{','.join(map(str, self.nodes))}{master}{db}"


def parse_host_port(text: str, default_port: int) -> HostPort:
    """`host`, `host:port` or `[IPv6]:port`. Raises ValueError."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|([^\s:/?#@\[\],]+))(?::([0-9]+))?", text)
    if match is None:
        raise ValueError(f"{text!r} is not host:port" if text else "a server is missing: it is not host:port")
    port = int(match[3]) if match[3] else default_port
    if not 0 < port < 1 << 16:
        raise ValueError(f"{text!r}: ports are from 1 to 65535")
    return HostPort(match[1] or check_host(match[2]), port)


def check_host(text: str) -> str:
    """`text`, if it can be the name or address of a host. Raises ValueError."""
    try:
        text.encode("idna")  # as Python does before it looks the name up
    except UnicodeError:
        raise ValueError(f"{text!r} is no host name") from None
    if not text or re.search(r"""[\s/$<>{}()*;|&!'"`\\]""", text):  # a variable or a place that nobody has filled in
        raise ValueError(f"{text!r} is no host name")
    return text


def parse_kafka_servers(text: str) -> tuple[HostPort, ...]:
    """Bootstrap servers, comma-separated. Raises ValueError."""
    if "@" in text:
        raise ValueError("name servers as host:port, without a login; kafka_username and kafka_password are for that")
    if "://" in text:
        raise ValueError("name servers as host:port, without a scheme; kafka_security chooses encryption and login")
    return tuple(parse_host_port(server.strip(), KAFKA_PORT) for server in text.split(","))


def check_kafka_servers(text: str) -> str:
    """`text` without spaces, if it names servers. Raises ValueError."""
    parse_kafka_servers(text)
    return ",".join(server.strip() for server in text.split(","))


def check_http_url(text: str) -> str:
    """`text` without spaces around it, if it is an HTTP URL with a host. Raises ValueError."""
    text = text.strip()
    match = re.fullmatch(r"https?://([^\s/?#]+)\S*", text)
    if match is None:
        raise ValueError("it must be a URL such as https://host/path")
    if "@" in text:
        raise ValueError("it must not hold a user and a password, since messages show it; settings have names for them")
    parse_host_port(match[1], 80)
    return text


def check_redis_url(text: str) -> str:
    """`text` without spaces around it, if it is the URL of a Redis. Raises ValueError."""
    parse_redis_url(text.strip())
    return text.strip()


def parse_redis_url(text: str) -> RedisAddress:
    """Take a Redis URL apart. Raises ValueError, which says what is wrong and never shows the password.

    redis:// or, with TLS, rediss://[USER:PASSWORD@]HOST[:PORT][/DB], and unix://PATH; several servers as
    redis+sentinel://HOST:PORT,HOST:PORT/MASTER[/DB] and redis+cluster://HOST:PORT,HOST:PORT. After a question mark
    come options, such as protocol=3.
    """
    if "#" in text:
        raise ValueError("a # is no part of it; in a user or password it has to be written as %23")
    match = re.fullmatch(r"(redis|rediss|unix)(?:\+(sentinel|cluster))?://([^?]*)(?:\?(.*))?", text)
    if match is None or (match[1] == "unix" and match[2]):
        raise ValueError(
            "it must begin with redis://, rediss:// (TLS), unix://, redis+sentinel://, rediss+sentinel://, "
            "redis+cluster:// or rediss+cluster://"
        )
    kind = RedisKind(match[2] or "single")
    login, at, rest = match[3].rpartition("@")
    if not at and "@" in (match[4] or ""):
        raise ValueError("a question mark in the user or password has to be written as %3F")
    options = _redis_options(match[4] or "")
    username, password = _login(login)
    if match[1] == "unix":
        if not rest.startswith("/"):
            raise ValueError("unix:// needs the absolute path of a socket, such as unix:///run/redis.sock")
        return RedisAddress(
            kind, False, (), unquote(rest), "", _db(options.get("db", "0")), username, password, options
        )
    hosts, _, path = rest.partition("/")
    nodes = tuple(
        parse_host_port(node, SENTINEL_PORT if kind is RedisKind.SENTINEL else REDIS_PORT) for node in hosts.split(",")
    )
    if kind is RedisKind.SINGLE and len(nodes) > 1:
        raise ValueError(
            "several servers are a redis+sentinel://HOST:PORT,HOST:PORT/MASTER or a redis+cluster://HOST:PORT,HOST:PORT"
        )
    master, db = _path(kind, path.rstrip("/"), options.get("db", "0"))
    return RedisAddress(kind, match[1] == "rediss", nodes, "", master, db, username, password, options)


def _login(text: str) -> tuple[str | None, str | None]:
    username, _, password = text.partition(":")
    return unquote(username) or None, unquote(password) or None


def _path(kind: RedisKind, path: str, db: str) -> tuple[str, int]:
    """The name of the Sentinels' master, and the number of the database."""
    if kind is RedisKind.SENTINEL:
        master, _, number = path.partition("/")
        if not master:
            raise ValueError("redis+sentinel:// needs the name of the master: redis+sentinel://HOST:PORT/MASTER")
        return unquote(master), _db(number or db)
    if kind is RedisKind.CLUSTER and _db(path or db):
        raise ValueError("a Redis Cluster has database 0 alone")
    return "", _db(path or db)


def _db(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text):
        raise ValueError(f"the database {text!r} is not a number of at most nine digits")
    return int(text)


class _Option(NamedTuple):
    """What an option of a URL can be: a check of its value, and the check in words."""

    accepts: Callable[[str], bool]
    expected: str


def _is_positive(text: str) -> bool:
    return re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) is not None and float(text) > 0


def _one_of(*values: str) -> _Option:
    return _Option(lambda value: value in values, " or ".join(values))


_TEXT = _Option(bool, "a text")
_NUMBER = _Option(str.isdecimal, "a whole number")
_SECONDS = _Option(_is_positive, "a number of seconds above 0")
_SWITCH = _Option(lambda value: value.lower() in _SWITCHES, "true or false")
_REDIS_OPTIONS = {
    "protocol": _one_of("2", "3"),
    "db": _NUMBER,
    "client_name": _TEXT,
    "health_check_interval": _NUMBER,
    "max_connections": _Option(lambda value: value.isdecimal() and int(value) > 0, "a whole number above 0"),
    "socket_keepalive": _SWITCH,
    "socket_timeout": _SECONDS,
    "socket_connect_timeout": _SECONDS,
    "ssl_ca_certs": _TEXT,
    "ssl_cert_reqs": _one_of("none", "optional", "required"),
    "ssl_certfile": _TEXT,
    "ssl_check_hostname": _SWITCH,
    "ssl_keyfile": _TEXT,
    "ssl_password": _TEXT,
}
_SETTINGS_OF_LOGINS = {
    "username": "redis_username",
    "password": "redis_password",
    "sentinel_username": "redis_sentinel_username",
    "sentinel_password": "redis_sentinel_password",
    "ssl": "the scheme rediss",
}


def _redis_options(query: str) -> dict[str, str]:
    found = dict(parse_qsl(query, keep_blank_values=True))
    for name, value in found.items():
        if name in _SETTINGS_OF_LOGINS:
            raise ValueError(f"the option {name!r} is unknown; {_SETTINGS_OF_LOGINS[name]} is for that")
        if name not in _REDIS_OPTIONS:
            raise ValueError(f"the option {name!r} is unknown; there are {', '.join(_REDIS_OPTIONS)}")
        accepts, expected = _REDIS_OPTIONS[name]
        if not accepts(value):
            shown = "" if "password" in name else f" {value!r}"
            raise ValueError(f"the option {name} cannot be{shown or ' empty'}, but {expected}")
    return found
