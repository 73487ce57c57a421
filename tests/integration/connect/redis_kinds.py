"""Redis in each of the ways in which it is run and reached."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.servers.certificates import KEY_PASSWORD, make_certificates
from tests.servers.redis_servers import ClusterGroup, ConfiguredRedis, SentinelGroup, running
from worker.errors import DependencyError
from worker.stack.server import free_port

KINDS = ("plain", "RESP3", "socket", "TLS", "mutual TLS", "Sentinel", "Sentinel, RESP3", "cluster", "cluster, RESP3")


class Servers(NamedTuple):
    """The settings with which each kind is reached, and the servers of those that tests change."""

    flags: dict[str, dict[str, Any]]
    plain: ConfiguredRedis
    cluster: ClusterGroup

    def reach(self, kind: str) -> dict[str, Any]:
        """The settings of a kind. Skips the test where the server program here has no TLS."""
        if kind not in self.flags:
            pytest.skip("the Redis or Valkey of this machine is built without TLS")
        return self.flags[kind]


@contextmanager
def redis_of_every_kind(folder: Path) -> Iterator[Servers]:
    """Servers for all of KINDS, running."""
    files = make_certificates(folder, "localhost")
    socket, tls_port, mutual_port = folder / "redis.sock", free_port(), free_port()
    tls = {"tls-cert-file": str(files.server), "tls-key-file": str(files.server_key), "tls-ca-cert-file": str(files.ca)}
    plain = ConfiguredRedis(folder, {"unixsocket": str(socket)}, "plain")
    encrypted = ConfiguredRedis(folder, tls | {"tls-port": str(tls_port), "tls-auth-clients": "no"}, "tls")
    mutual = ConfiguredRedis(folder, tls | {"tls-port": str(mutual_port), "tls-auth-clients": "yes"}, "mutual")
    sentinels, cluster = SentinelGroup(folder), ClusterGroup(folder)
    ca = {"redis_ca_file": files.ca}
    client = {
        "redis_certificate_file": files.client,
        "redis_key_file": files.client_key,
        "redis_key_password": KEY_PASSWORD,
    }
    flags: dict[str, dict[str, Any]] = {
        "plain": {"redis": plain.url},
        "RESP3": {"redis": f"{plain.url}?protocol=3"},
        "socket": {"redis": f"unix://{socket}"},
        "TLS": {"redis": f"rediss://localhost:{tls_port}/0"} | ca,
        "mutual TLS": {"redis": f"rediss://localhost:{mutual_port}/0"} | ca | client,
        "Sentinel": {"redis": sentinels.url},
        "Sentinel, RESP3": {"redis": f"{sentinels.url}/1?protocol=3"},
        "cluster": {"redis": cluster.url},
        "cluster, RESP3": {"redis": f"{cluster.url}?protocol=3"},
    }
    with running(plain, *sentinels.servers, *cluster.servers), ExitStack() as stack:
        for kind, server in (("TLS", encrypted), ("mutual TLS", mutual)):
            try:
                stack.enter_context(server)
            except DependencyError as error:
                if "finding TLS support" not in str(error):
                    raise
                del flags[kind]
        sentinels.wait_ready()
        cluster.wait_ready()
        yield Servers(flags, plain, cluster)
