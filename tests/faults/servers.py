"""Faults of servers: Redis that forgets or is away, brokers that die, ids that expire."""

from __future__ import annotations

import time
from typing import Any

import redis
from kafka import KafkaAdminClient

from tests.faults.run import SETTLE_TIMEOUT_S, Run
from tests.system.verifier import REDIS_TIMEOUT_S
from worker.stack import KafkaBroker
from worker.stack.kafka import NUM_INTERNAL_PARTITIONS

MAX_AWAY_S = 2.0
EXPIRATION_S = 6.0
CLEANUP_S = 0.5
NUM_FEEDS = 2
EXPIRING = {
    "transactional.id.expiration.ms": str(int(EXPIRATION_S * 1000)),
    "transaction.remove.expired.transaction.cleanup.interval.ms": str(int(CLEANUP_S * 1000)),
}


def flushall(run: Run) -> None:
    """Delete everything in Redis."""
    run.inject("flushall")
    with redis.Redis.from_url(run.stack.redis, socket_timeout=REDIS_TIMEOUT_S) as client:
        client.flushall()


def take_snapshot(run: Run) -> None:
    """Keep a copy of what is in Redis, for `roll_back`."""
    run.snapshots.append(run.stack.redis_server.snapshot())


def roll_back(run: Run) -> None:
    """Kill Redis and restart it from an earlier snapshot, if there is one; the next time this state may be one."""
    run.inject("roll_back")
    server = run.stack.redis_server
    if run.snapshots:
        server.kill()
        server.restore(run.random.choice(run.snapshots))
        server.start()
    take_snapshot(run)


def empty_redis(run: Run) -> None:
    """Kill Redis and restart it empty."""
    run.inject("empty_redis")
    server = run.stack.redis_server
    server.kill()
    run.pause_within(0, MAX_AWAY_S)
    server.erase()
    server.start()


def redis_away(run: Run) -> None:
    """Kill Redis and restart it with its data."""
    run.inject("redis_away")
    server = run.stack.redis_server
    server.kill()
    run.pause_within(MAX_AWAY_S, 2 * MAX_AWAY_S)
    server.start()


def kill_broker(run: Run) -> None:
    """Kill a broker and restart it."""
    run.inject("kill_broker")
    _kill_and_start(run, run.random.choice(run.stack.brokers))


def coordinator_moves(run: Run) -> None:
    """Kill the broker that coordinates the group, or transactions of its workers, and restart it."""
    run.inject("coordinator_moves")
    group = run.scene.workplace.settings.group
    with KafkaAdminClient(bootstrap_servers=run.stack.kafka.split(",")) as admin:
        listed = admin.list_transactions()
    nodes = [node for node, ids in listed.items() if any(one.transactional_id.startswith(group) for one in ids)]
    nodes.append(leaders(run, "__consumer_offsets")[java_hash(group) % NUM_INTERNAL_PARTITIONS])
    _kill_and_start(run, broker(run, run.random.choice(nodes)))


def leader_killed(run: Run) -> None:
    """Kill the leader of a partition of the input or of the events, and restart it."""
    run.inject("leader_killed")
    settings = run.scene.workplace.settings
    nodes = leaders(run, run.random.choice((settings.topics[0], settings.events_topic)))
    _kill_and_start(run, broker(run, run.random.choice(sorted(nodes.values()))))


def expired_id(run: Run) -> None:
    """Let the broker forget the workers' transactional ids; the next records need no restart."""
    run.must_not_restart = True
    run.start_workers()
    for part in range(NUM_FEEDS):
        if part:
            run.inject("expired_id")
            time.sleep(EXPIRATION_S + CLEANUP_S * 2)
        with run.feeding(run.num_records // NUM_FEEDS):
            pass
        run.scene.wait_until_flushed(SETTLE_TIMEOUT_S)


def _kill_and_start(run: Run, victim: KafkaBroker) -> None:
    victim.kill()
    run.pause_within(0, MAX_AWAY_S)
    victim.start()


def broker(run: Run, node_id: int) -> KafkaBroker:
    """The broker of this id."""
    return next(one for one in run.stack.brokers if one.node_id == node_id)


def leaders(run: Run, topic: str) -> dict[int, int]:
    """The node that leads each partition of a topic."""
    return {one["partition_index"]: one["leader_id"] for one in describe(run, topic)}


def describe(run: Run, topic: str) -> list[dict[str, Any]]:
    """What a broker says about each partition of a topic."""
    with KafkaAdminClient(bootstrap_servers=run.stack.kafka.split(",")) as admin:
        (described,) = admin.describe_topics([topic])
    return list(described["partitions"])


def java_hash(text: str) -> int:
    """The absolute value of Java's String.hashCode()."""
    number = 0
    for character in text:
        number = (31 * number + ord(character)) & 0xFFFFFFFF
    return min(number, (1 << 32) - number)
