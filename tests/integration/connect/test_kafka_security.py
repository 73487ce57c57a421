"""Every kind of encryption and login on a real broker, with both Kafka libraries; and what is said where one fails."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote_plus

import pytest
from kafka.errors import KafkaError

from tests import kafka_tools
from tests.checkpoints import save_tiny_checkpoint
from tests.kafka_tools import Keyed
from tests.servers.certificates import ALICE
from tests.servers.secure_kafka import SecureKafka
from worker.errors import DependencyError
from worker.kafka.access.rights import Rights, require_rights
from worker.kafka.brokers import Brokers
from worker.kafka.topics import check_topics
from worker.settings import Settings, load_settings
from worker.stack.server import free_port

ID, SECRET = "a client", "s3cr3t+/="
TIMEOUT_S = 5


class TokenEndpoint(ThreadingHTTPServer):
    """An OIDC endpoint: unsigned tokens for who knows the secret."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _TokenHandler)
        self.num_tokens = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/token"


class _TokenHandler(BaseHTTPRequestHandler):
    server: TokenEndpoint

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        login = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
        if [unquote_plus(part) for part in login.split(":")] != [ID, SECRET]:
            return self._answer(401, {"error": "invalid_client", "error_description": "no such secret"})
        assert form == {"grant_type": ["client_credentials"], "scope": ["kafka"]}
        self.server.num_tokens += 1
        claims = {"sub": ALICE, "iat": int(time.time()), "exp": int(time.time()) + 3600}
        token = b".".join(
            base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": "none"}, claims)
        )
        return self._answer(200, {"access_token": f"{token.decode()}.", "expires_in": 3600, "token_type": "Bearer"})

    def _answer(self, status: int, answer: dict[str, Any]) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_: Any) -> None:
        pass


def _part(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[TokenEndpoint]:
    with TokenEndpoint() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def oauth(endpoint: TokenEndpoint, secret: str = SECRET) -> dict[str, Any]:
    return {
        "kafka_oauth_token_url": endpoint.url,
        "kafka_oauth_client_id": ID,
        "kafka_oauth_client_secret": secret,
        "kafka_oauth_scope": "kafka",
    }


def topics_by_aiokafka(settings: Settings) -> set[str]:
    async def ask() -> set[str]:
        async with Brokers(settings) as brokers:
            return await brokers.topics()

    return asyncio.run(ask())


def failure(**flags: Any) -> str:
    with pytest.raises(DependencyError) as raised:
        topics_by_aiokafka(load_settings(**{"request_timeout_s": TIMEOUT_S} | flags))
    return str(raised.value)


@pytest.mark.parametrize("listener", ["TLS", "MUTUAL", "PLAIN", "SCRAM"])
def test_both_libraries_connect_to_a_listener_of_every_kind(kafka: SecureKafka, listener: str) -> None:
    settings = load_settings(**kafka.flags(listener))
    assert settings.events_topic in topics_by_aiokafka(settings)
    check_topics(settings)


def test_both_variants_of_scram_work(kafka: SecureKafka) -> None:
    settings = load_settings(**kafka.flags("SCRAM") | {"kafka_sasl_mechanism": "SCRAM-SHA-256"})
    assert settings.events_topic in topics_by_aiokafka(settings)
    check_topics(settings)


def test_one_token_of_an_oidc_endpoint_serves_both_libraries(kafka: SecureKafka, endpoint: TokenEndpoint) -> None:
    settings = load_settings(**kafka.flags("OAUTH"), **oauth(endpoint))
    assert settings.events_topic in topics_by_aiokafka(settings)
    check_topics(settings)
    assert endpoint.num_tokens == 1


def test_a_token_endpoint_that_refuses_is_named_with_what_it_says(kafka: SecureKafka, endpoint: TokenEndpoint) -> None:
    said = failure(**kafka.flags("OAUTH"), **oauth(endpoint, "wrong"))
    assert endpoint.url in said
    assert "invalid_client, no such secret" in said


@pytest.mark.parametrize(
    ("listener", "changes", "expected"),
    [
        ("TLS", {"kafka_ca_file": None}, "certificate is not accepted.*--kafka-ca-file"),
        ("MUTUAL", {"kafka_certificate_file": None, "kafka_key_file": None}, "wants a client certificate"),
        ("SCRAM", {"kafka_password": "wrong"}, "refuses the login"),
        ("PLAIN", {"kafka_password": "wrong"}, "refuses the login"),
        (
            "PLAIN",
            {"kafka_sasl_mechanism": "SCRAM-SHA-256"},
            "mechanism SCRAM-SHA-256, but PLAIN",
        ),
        ("TLS", {"kafka_security": "PLAINTEXT", "kafka_ca_file": None}, "speaks TLS on this port"),
        ("SCRAM", {"kafka_security": "SASL_PLAINTEXT", "kafka_ca_file": None}, "speaks TLS on this port"),
        ("PLAIN", {"kafka_security": "PLAINTEXT", "kafka_username": None}, r"wants a login.*it knows PLAIN"),
        ("PLAIN", {"kafka_security": "SASL_SSL"}, "does not speak TLS"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(
    kafka: SecureKafka, listener: str, changes: dict[str, Any], expected: str
) -> None:
    flags = kafka.flags(listener) | changes
    said = failure(**flags)
    assert re.search(expected, said), said


def test_a_stranger_s_ca_and_a_name_that_is_not_in_the_certificate_are_told_apart(kafka: SecureKafka) -> None:
    flags = kafka.flags("TLS")
    assert "Name the CA that signed it" in failure(**flags | {"kafka_ca_file": kafka.certificates.stranger})
    assert "as its certificate does" in failure(**flags | {"kafka": f"127.0.0.1:{kafka.ports['TLS']}"})


def test_other_servers_closed_ports_and_unknown_names_are_told_apart(kafka: SecureKafka) -> None:
    redis = kafka.stack.redis_server.address
    plain = {"kafka": kafka.stack.kafka}
    assert "does not speak TLS" in failure(**kafka.flags("TLS") | plain)
    assert "wants no login" in failure(**kafka.flags("PLAIN") | plain)
    assert "speaks Redis' protocol" in failure(kafka=redis)
    assert "connection refused" in failure(kafka=f"localhost:{free_port()}")
    assert "cannot be resolved" in failure(kafka="nowhere.invalid:9092")


def test_a_broker_that_is_advertised_under_an_unknown_name_is_told_from_one_that_is_away(kafka: SecureKafka) -> None:
    settings = load_settings(**kafka.flags("LOST"), request_timeout_s=TIMEOUT_S)
    with pytest.raises(DependencyError, match=r"nowhere\.invalid.*cannot be resolved.*advertised\.listeners"):
        asyncio.run(require_rights(settings, Rights(reads=("tweets",))))


def test_a_web_server_in_kafka_s_place_is_recognised_by_both_libraries(endpoint: TokenEndpoint) -> None:
    address = f"127.0.0.1:{endpoint.server_port}"
    assert "speaks HTTP" in failure(kafka=address)
    with pytest.raises(DependencyError, match="speaks HTTP"):
        check_topics(load_settings(kafka=address, request_timeout_s=TIMEOUT_S))


@pytest.mark.parametrize("listener", ["TLS", "SCRAM"])
def test_a_worker_over_tls_ends_soon_after_its_drain(kafka: SecureKafka, listener: str, tmp_path: Path) -> None:
    flags = kafka.flags(listener) | {
        "group": f"stops-{listener}",
        "checkpoint": save_tiny_checkpoint(tmp_path / "tiny"),
        "health_port": 0,
    }
    variables = {f"SENTIMENT_{name.upper()}": str(value) for name, value in flags.items()}
    value = json.dumps({"text": "great"}).encode()
    kafka_tools.produce(kafka.stack.kafka, "tweets", [Keyed(b"a", value)] * 10)
    with subprocess.Popen(
        [sys.executable, "-m", "worker.cli", "worker"], env=os.environ | variables, stderr=subprocess.PIPE, text=True
    ) as worker:
        try:
            _wait_until_committed(kafka, f"stops-{listener}")
            worker.send_signal(signal.SIGTERM)
            _, said = worker.communicate(timeout=60)
        finally:
            worker.kill()
    assert worker.returncode == 0, said
    assert "still running" not in said
    assert "Traceback" not in said


def _wait_until_committed(kafka: SecureKafka, group: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(KafkaError):  # a new cluster has no coordinator yet
            if any(kafka_tools.committed(kafka.stack.kafka, group).values()):
                return
        time.sleep(0.2)
    raise TimeoutError
