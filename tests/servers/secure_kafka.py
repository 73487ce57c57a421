"""A real broker with a listener of every kind of encryption and login, beside a plain one whose user may do all.

The other listeners know ALICE, by PASSWORD or by a client certificate, and let her do what Kafka's own authorizer is
told to allow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from kafka import KafkaAdminClient
from kafka.admin import ScramMechanism, UserScramCredentialUpsertion

from tests.servers.certificates import ALICE, KEY_PASSWORD, Certificates, make_certificates
from worker.stack import LocalStack
from worker.stack.server import HOST, free_port

PASSWORD = "al=ce, p@ss"
LISTENERS = {
    "TLS": "SSL",
    "MUTUAL": "SSL",
    "PLAIN": "SASL_PLAINTEXT",
    "SCRAM": "SASL_SSL",
    "OAUTH": "SASL_PLAINTEXT",
    "LOST": "PLAINTEXT",  # advertised under a name that nobody knows
}
AUTHORIZER = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
}
_MODULES = "org.apache.kafka.common.security"


class SecureKafka(NamedTuple):
    """The addresses of a broker's listeners, and the certificates of both sides."""

    stack: LocalStack
    ports: Mapping[str, int]
    certificates: Certificates

    def flags(self, listener: str) -> dict[str, Any]:
        """The settings with which ALICE uses a listener."""
        files = self.certificates
        flags: dict[str, Any] = {
            "kafka": f"localhost:{self.ports[listener]}",
            "redis": self.stack.redis,
            "kafka_security": LISTENERS[listener],
        }
        if LISTENERS[listener].endswith("SSL"):
            flags["kafka_ca_file"] = files.ca
        if listener == "MUTUAL":
            flags |= {
                "kafka_certificate_file": files.client,
                "kafka_key_file": files.client_key,
                "kafka_key_password": KEY_PASSWORD,
            }
        if listener in {"PLAIN", "SCRAM"}:
            mechanism = "PLAIN" if listener == "PLAIN" else "SCRAM-SHA-512"
            flags |= {"kafka_sasl_mechanism": mechanism, "kafka_username": ALICE, "kafka_password": PASSWORD}
        if listener == "OAUTH":
            flags["kafka_sasl_mechanism"] = "OAUTHBEARER"
        return flags


@contextmanager
def secure_kafka(folder: Path, **options: str) -> Iterator[SecureKafka]:
    """A running broker of this kind, and a Redis; `options` override properties of the broker."""
    certificates = make_certificates(folder, "localhost")
    ports = {name: free_port() for name in LISTENERS}
    stack = LocalStack()
    broker = stack.brokers[0]
    broker.options = _properties(broker.address, broker.controller_port, ports, certificates) | options
    with stack:
        _add_users(stack.kafka)
        yield SecureKafka(stack, ports, certificates)


def _properties(address: str, controller_port: int, ports: Mapping[str, int], files: Certificates) -> dict[str, str]:
    listeners = {"PLAINTEXT": address, "CONTROLLER": f"{HOST}:{controller_port}"}
    listeners |= {name: f"localhost:{port}" for name, port in ports.items()}
    protocols = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", **LISTENERS}
    advertised = listeners | {"LOST": f"nowhere.invalid:{ports['LOST']}"}
    del advertised["CONTROLLER"]
    properties = {
        "advertised.listeners": ",".join(f"{name}://{where}" for name, where in advertised.items()),
        "listeners": ",".join(f"{name}://{where}" for name, where in listeners.items()),
        "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in protocols.items()),
        "inter.broker.listener.name": "PLAINTEXT",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.certificate.chain": _in_one_line(files.server),
        "ssl.keystore.key": _in_one_line(files.server_key),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.certificates": _in_one_line(files.ca),
        "listener.name.mutual.ssl.client.auth": "required",
        "ssl.principal.mapping.rules": "RULE:^CN=([^,]+).*$/$1/",
    }
    logins = {
        "plain": ("PLAIN", f'plain.PlainLoginModule required user_{ALICE}="{PASSWORD}";'),
        "scram": ("SCRAM-SHA-256,SCRAM-SHA-512", "scram.ScramLoginModule required;"),
        "oauth": (
            "OAUTHBEARER",
            'oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";',
        ),
    }
    for name, (mechanisms, module) in logins.items():
        properties[f"listener.name.{name}.sasl.enabled.mechanisms"] = mechanisms
        for mechanism in mechanisms.split(","):
            properties[f"listener.name.{name}.{mechanism.lower()}.sasl.jaas.config"] = f"{_MODULES}.{module}"
    return properties | AUTHORIZER


def _in_one_line(path: Path) -> str:
    """A PEM file as the value of a Java property."""
    return path.read_text().replace("\n", "\\n")


def _add_users(kafka: str) -> None:
    with KafkaAdminClient(bootstrap_servers=kafka) as admin:
        # Kafka takes one change a user and request.
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            refused = admin.alter_user_scram_credentials([UserScramCredentialUpsertion(ALICE, mechanism, PASSWORD)])
            assert refused == {ALICE: None}
