"""The states in Redis, however it is run and reached; the rights that they take; and what is said where one fails."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from tests.factories.partitions import CONFIG, new_entry
from tests.integration.connect.redis_kinds import KINDS, Servers
from tests.servers.redis_servers import ConfiguredRedis, running
from tests.unit.docs.pages import blocks, commands_of
from worker.errors import DependencyError
from worker.records.types import TopicPartition
from worker.settings import load_settings
from worker.stack.server import HOST
from worker.state.claims import Claimant, Fence, TopicInfo, Verdict
from worker.state.rehearsal import check_redis
from worker.state.store import StateStore

USER, PASSWORD = "worker", "r#d/s p@ss"
KEYS = "~{sentiment:*"
# What docs/connect.md lists.
(RULES,) = (block.text.split() for block in blocks("redis"))
COMMANDS = tuple(rule.removeprefix("+") for rule in RULES if rule.startswith("+"))
FINGERPRINT = "0123456789abcdef"
OF_A_CLUSTER = ("cluster|slots", "command")
TOPIC = TopicInfo("", 3)
TPS = [TopicPartition("tweets", number) for number in range(3)]


async def use(store: StateStore) -> None:
    """What a worker does with its partitions, which a cluster has on several nodes."""
    claims = await store.claim(Claimant("me", "id"), dict.fromkeys(TPS, TOPIC))
    assert set(claims) == set(TPS)
    for tp in TPS:
        fence = Fence("me-2", "lineage", None)
        assert await store.begin(tp, "me", fence, TOPIC) is Verdict.OK
        assert await store.flush(tp, fence, {"a": new_entry(1), "b": None}, 7) is Verdict.OK
        assert await store.flush(tp, fence, {"a": new_entry(2)}, 8) is Verdict.CHANGED
        verdict, (entry, missing) = await store.read(tp, fence._replace(position=7), ["a", "b"])
        assert (verdict, missing) == (Verdict.OK, None)
        assert entry is not None
        assert entry.to_bytes(FINGERPRINT) == new_entry(1).to_bytes(FINGERPRINT)
    again = await store.claim(Claimant("you", "id2"), dict.fromkeys(TPS, TOPIC))
    assert {claim.position for claim in again.values()} == {7}
    assert await store.first_partition_counts(["tweets", "absent"]) == {"tweets": 3}


def run_store(flags: dict[str, Any]) -> None:
    async def scenario() -> None:
        store = StateStore(load_settings(**flags), CONFIG, FINGERPRINT)
        try:
            await use(store)
        finally:
            await store.close()

    asyncio.run(scenario())


def failure(**flags: Any) -> str:
    with pytest.raises(DependencyError) as raised:
        asyncio.run(check_redis(load_settings(**{"request_timeout_s": 3} | flags)))
    return str(raised.value)


@pytest.mark.parametrize("kind", KINDS)
def test_states_are_kept_in_redis_of_every_kind(servers: Servers, kind: str) -> None:
    assert "noeviction" in asyncio.run(check_redis(load_settings(**servers.reach(kind))))
    run_store(servers.reach(kind) | {"group": f"group-{KINDS.index(kind)}"})


def set_user(server: ConfiguredRedis, commands: tuple[str, ...]) -> None:
    with server.client() as client:
        rules = [f"+{command}" for command in commands]
        client.execute_command("ACL", "SETUSER", USER, "reset", "on", f">{PASSWORD}", KEYS, *rules)


def test_redis_takes_the_user_of_the_page_as_it_is(servers: Servers) -> None:
    with servers.plain.client() as client:
        client.execute_command(*RULES)
        assert f"user {RULES[2]} on " in client.execute_command("ACL", "LIST")[-1].decode()
        client.execute_command("ACL", "DELUSER", RULES[2])


@pytest.mark.parametrize(("page", "command"), [one for one in commands_of("redis-cli") if " --" not in one[1]])
def test_redis_takes_what_the_pages_give_to_its_command_line(page: str, command: str, tmp_path: Path) -> None:
    server = ConfiguredRedis(tmp_path, {}, "own")
    with running(server), server.client() as client:
        assert client.execute_command(*command.split()[1:]) in {True, b"OK"}, page


def test_a_user_with_exactly_the_listed_rights_suffices_and_info_is_none_of_them(servers: Servers) -> None:
    url = servers.plain.url.replace("//", "//nobody:wrong@")
    login = {"redis": url, "redis_username": USER, "redis_password": PASSWORD}
    set_user(servers.plain, COMMANDS)
    assert "no right to INFO" in asyncio.run(check_redis(load_settings(**login)))
    run_store(login)
    # A new server knows none of the scripts.
    for command in COMMANDS:
        set_user(servers.plain, tuple(other for other in COMMANDS if other != command))
        with servers.plain.client() as client:
            client.script_flush()
        said = failure(**login)
        assert "lacks a right" in said, (command, said)
        # Redis before 7.2 does not name the command of a script.
        assert command in said.lower(), (command, said)
    set_user(servers.plain, COMMANDS)
    assert "lacks a right" in failure(**login, group="another")


def test_a_user_of_a_cluster_needs_two_rights_more(servers: Servers) -> None:
    login = {"redis": servers.cluster.url, "redis_username": USER, "redis_password": PASSWORD}
    for server in servers.cluster.servers:
        set_user(server, COMMANDS + OF_A_CLUSTER)
    run_store(login)
    for missing in OF_A_CLUSTER:
        for server in servers.cluster.servers:
            set_user(server, tuple(command for command in COMMANDS + OF_A_CLUSTER if command != missing))
        assert "lacks a right" in failure(**login), missing


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        ("TLS", {"redis_ca_file": None}, "certificate is not accepted.*--redis-ca-file"),
        ("mutual TLS", {"redis_certificate_file": None, "redis_key_file": None}, "wants a client certificate"),
        ("plain", {"redis_username": USER, "redis_password": "wrong"}, "refuses the login"),
        ("plain", {"redis": "redis://localhost:{port}/99"}, "no database of this number"),
        ("plain", {"redis": "redis://localhost:1/0"}, "connection refused"),
        ("plain", {"redis": "redis://nowhere.invalid/0"}, "cannot be resolved"),
        ("plain", {"redis": "unix:///nowhere/redis.sock"}, "no such socket"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(
    servers: Servers, kind: str, changes: dict[str, Any], expected: str
) -> None:
    filled = {name: str(value).format(port=servers.plain.port) for name, value in changes.items() if value is not None}
    said = failure(**servers.reach(kind) | changes | filled)
    assert re.search(expected, said), said


def test_a_port_that_speaks_tls_alone_is_recognised(servers: Servers) -> None:
    assert "speaks TLS on this port" in failure(redis=servers.reach("TLS")["redis"].replace("rediss", "redis"))


def test_other_protocols_and_other_kinds_of_redis_are_told_apart(servers: Servers) -> None:
    flags = servers.flags
    assert "does not speak TLS" in failure(redis=servers.plain.url.replace("redis:", "rediss:"))
    node = flags["cluster"]["redis"].split("//")[1].split(",")[0]
    assert "redis+cluster://" in failure(redis=f"redis://{node}")
    assert "no Redis Cluster" in failure(redis=f"redis+cluster://{servers.plain.address}")
    assert "know no master of this name" in failure(redis=f"{flags['Sentinel']['redis']}s")


def test_a_replica_a_server_without_scripts_and_a_full_one_are_told_apart(servers: Servers, tmp_path: Path) -> None:
    replica = ConfiguredRedis(tmp_path, {"replicaof": [HOST, str(servers.plain.port)]}, "replica")
    mute = ConfiguredRedis(tmp_path, {"rename-command": ["EVALSHA", ""]}, "mute")
    full = ConfiguredRedis(tmp_path, {"maxmemory": "1"}, "full")
    with running(replica, mute, full):
        assert "replica, which takes no writes" in failure(redis=replica.url)
        assert "forbids a command" in failure(redis=mute.url)
        assert "is full" in failure(redis=full.url)
