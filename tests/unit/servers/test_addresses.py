"""Addresses of servers are checked when settings are loaded; every mistake is named, without traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.asyncio import Redis

from worker.errors import SettingsError
from worker.servers.addresses import _REDIS_OPTIONS, HostPort, RedisKind, parse_kafka_servers, parse_redis_url
from worker.settings import load_settings


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("broker", [("broker", 9092)]),
        ("a:1, b:2", [("a", 1), ("b", 2)]),
        ("[::1]:9093", [("::1", 9093)]),
        ("10.0.0.1:9092", [("10.0.0.1", 9092)]),
        ("[fe80::1%eth0]:9093", [("fe80::1%eth0", 9093)]),
    ],
)
def test_kafka_servers_are_read(text: str, servers: list[tuple[str, int]]) -> None:
    assert parse_kafka_servers(text) == tuple(HostPort(*server) for server in servers)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a:1,",
        "a..b:1",
        "a" * 70,
        "a:\uff19",
        "a:1/x",
        "a:b",
        "a:99999",
        "a:0",
        "kafka://a:1",
        "SSL://a:1",
        "a b:1",
        "a:1:2",
        "[::1",
        "$KAFKA:9092",
        "<broker>:9092",
    ],
)
def test_kafka_servers_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="kafka: "):
        load_settings(kafka=text)


def test_every_kind_of_redis_is_read() -> None:
    single = parse_redis_url("rediss://me:p%40ss@host/3?protocol=3")
    assert (single.kind, single.is_tls, single.nodes, single.db) == (RedisKind.SINGLE, True, (("host", 6379),), 3)
    assert (single.username, single.password, single.options) == ("me", "p@ss", {"protocol": "3"})
    sentinel = parse_redis_url("redis+sentinel://:pw@a:1,b/mymaster/2")
    assert (sentinel.kind, sentinel.nodes) == (RedisKind.SENTINEL, (("a", 1), ("b", 26379)))
    assert (sentinel.master, sentinel.db, sentinel.username, sentinel.password) == ("mymaster", 2, None, "pw")
    cluster = parse_redis_url("rediss+cluster://a:1,[::1]:2")
    assert (cluster.kind, cluster.is_tls, cluster.nodes) == (RedisKind.CLUSTER, True, (("a", 1), ("::1", 2)))
    assert parse_redis_url("unix:///run/redis.sock?db=1").path == "/run/redis.sock"


def test_a_message_shows_where_redis_is_but_no_login() -> None:
    settings = load_settings(redis="redis+sentinel://me:secret@a:1,b:2/mymaster?protocol=3")
    assert settings.redis_address == "redis+sentinel://a:1,b:2/mymaster/0"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("nonsense", "must begin with"),
        ("http://host", "must begin with"),
        ("unix+cluster:///x", "must begin with"),
        ("redis://h1:6379,h2:6379/0", r"redis\+sentinel"),
        ("redis://h?foo=bar", "foo"),
        ("redis://h?protocol=5", "protocol cannot be '5', but 2 or 3"),
        ("rediss://h?ssl_cert_reqs=CERT_NONE", "cannot be 'CERT_NONE', but none or optional or required"),
        ("redis://h?ssl_cert_reqs=none", "ssl_cert_reqs needs a redis URL with rediss"),
        ("redis://h?ssl=true", "'ssl' is unknown; the scheme rediss is for that"),
        ("redis://h?password=swordfish", "'password' is unknown; redis_password is for that"),
        ("redis://h#1", "has to be written as %23"),
        ("redis://${HOST}:6379", "is no host name"),
        ("redis://h?socket_timeout=0", "socket_timeout cannot be '0'"),
        ("redis://h?max_connections=0", "max_connections cannot be '0'"),
        ("redis://h/99999999999", "at most nine digits"),
        ("rediss://h?ssl_ca_certs=/nope.pem", "redis: ssl_ca_certs: /nope.pem: no such file"),
        ("redis://h/x", "not a number"),
        ("redis://h:port", "host:port"),
        ("redis://", "host:port"),
        ("redis+sentinel://h:1", "name of the master"),
        ("redis+cluster://h:1/2", "database 0"),
        ("unix://relative", "absolute path"),
    ],
)
def test_a_redis_url_that_is_none_says_why_and_shows_no_password(url: str, expected: str) -> None:
    with pytest.raises(SettingsError, match=expected):
        load_settings(redis=url)
    with pytest.raises(SettingsError) as raised:
        load_settings(redis=url.replace("://", "://me:swordfish@"))
    assert "swordfish" not in str(raised.value)


def test_redis_takes_every_option_that_is_accepted() -> None:
    values = {"protocol": "3", "ssl_cert_reqs": "none", "client_name": "x"}
    for name in _REDIS_OPTIONS:
        scheme = "rediss" if name.startswith("ssl") else "redis"
        url = f"{scheme}://host?{name}={values.get(name, '1')}"
        parse_redis_url(url)
        Redis.from_url(url).connection_pool.make_connection()


def test_all_mistakes_are_in_one_message(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        load_settings(
            kafka="a:1/x",
            redis="redis://h?foo=bar",
            prometheus="here",
            kafka_security="SASL_SSL",
            kafka_ca_file=tmp_path / "absent.pem",
            kafka_oauth_token_url="ftp://x",
        )
    for name in ("kafka:", "redis:", "prometheus:", "absent.pem", "kafka_oauth_token_url:", "kafka_username"):
        assert name in str(raised.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("h:8081", "must be a URL"),
        ("http://", "must be a URL"),
        ("http://h h", "must be a URL"),
        ("http://me:secret@h", "must not hold a user and a password"),
        ("http://h:0", "ports are from 1 to 65535"),
        ("http://h:abc", "is not host:port"),
        ("http://[::1", "is not host:port"),
    ],
)
def test_urls_that_cannot_be_used_are_refused_and_no_password_is_shown(url: str, expected: str) -> None:
    with pytest.raises(SettingsError, match=expected) as caught:
        load_settings(registry=url)
    assert "secret" not in str(caught.value)
    assert load_settings(registry="https://h:8443/apis/ccompat/v7").registry == "https://h:8443/apis/ccompat/v7"


def test_spaces_around_an_address_are_no_part_of_it() -> None:
    settings = load_settings(kafka=" a:1\n", redis=" redis://h/1\n", prometheus="http://p:9090\n")
    assert (settings.kafka, settings.redis_address, settings.prometheus) == ("a:1", "redis://h:6379/1", "http://p:9090")
