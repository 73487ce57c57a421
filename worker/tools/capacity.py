"""`sentiment capacity`: what a rate of records needs, from costs measured on one machine.

The formula is that of docs/capacity.md.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from itertools import islice
from math import ceil, isfinite
from typing import NamedTuple

import msgspec

from model import InferenceEngine, Request
from worker.errors import SettingsError
from worker.tools.simulate import Feed

HEADROOM = 0.7  # of a core is planned with, so that a backlog can be drained and a worker may fail
CORES_PER_BROKER = 4
REPLICATION = 3
PARTITIONS_PER_WORKER = 2  # so that the workers can double
MIN_BROKERS = 3
GIB = 1 << 30
HOUR_S = 3600.0

MEASURED_TEXTS = 4096
MEASURED_ROUNDS = 3  # the fastest counts
_SEED = 1
_TOPICS = ("tweets", "reviews")


@dataclass(frozen=True)
class Costs:
    """CPU microseconds a record, and bytes a stream. `source`: what measured them, and on what machine.

    engine_us: the network and all of `score`. worker_us: the rest of the worker. broker_us: for each replica.
    """

    engine_us: float
    worker_us: float
    redis_us: float
    broker_us: float
    redis_stream_bytes: int
    source: str


_SOURCE = "the drain of a backlog and the engine on the simulated feed, on an AMD EPYC (Zen 3, AVX2), 2 cores"
COSTS = {
    "tweets": Costs(195.0, 55.0, 11.0, 61.0, 1130, _SOURCE),
    "reviews": Costs(380.0, 55.0, 11.0, 70.0, 1130, _SOURCE),
}
"""Kind of texts -> the costs of a record of the simulated feed."""


class Prices(NamedTuple):
    """Dollars an hour: of a core with 2 GB of memory, and of a GiB of Redis."""

    core_hour: float
    redis_gib_hour: float


class Service(NamedTuple):
    """A hosted sentiment analysis: dollars a million texts of up to 300 characters, and why."""

    name: str
    dollars: float
    basis: str


SERVICES = (
    Service(
        "AWS Comprehend", 300.0, "3 units of 100 characters at least, 0.0001 each; aws.amazon.com/comprehend/pricing"
    ),
    Service("Google Natural Language", 940.0, "1,000 characters a text; a bill of 1,316 for 1.4 million texts"),
    Service(
        "Azure AI Language", 875.0, "1,000 characters a text, 1.00 a thousand to 500,000, then 0.75; not confirmed"
    ),
)


@dataclass(frozen=True)
class Capacity:
    """What the rate needs. Cores are those in use; workers and servers leave the headroom.

    redis_servers: Redis runs its commands on one core.
    """

    workers: int
    partitions: int
    brokers: int
    redis_servers: int
    redis_bytes: int
    worker_cores: float
    broker_cores: float
    redis_cores: float
    dollars_a_million: float


def costs_of(kind: str) -> Costs:
    """The measured costs. Raises SettingsError for an unknown kind."""
    if kind not in COSTS:
        raise SettingsError(f"--kind {kind}: there is no such kind of texts; take one of {', '.join(COSTS)}")
    return COSTS[kind]


def plan_capacity(rate: float, num_streams: int, costs: Costs, prices: Prices) -> Capacity:
    """What `rate` records/s of `num_streams` streams need. Raises SettingsError when a number makes no sense."""
    _check(rate, num_streams, prices)
    worker_cores = rate * (costs.engine_us + costs.worker_us) / 1e6
    broker_cores = rate * costs.broker_us * REPLICATION / 1e6
    redis_cores = rate * costs.redis_us / 1e6
    workers, redis_servers = _with_headroom(worker_cores), _with_headroom(redis_cores)
    brokers = max(MIN_BROKERS, _with_headroom(broker_cores / CORES_PER_BROKER))
    redis_bytes = num_streams * costs.redis_stream_bytes
    paid_cores = workers + brokers * CORES_PER_BROKER + redis_servers
    dollars_an_hour = paid_cores * prices.core_hour + redis_bytes / GIB * prices.redis_gib_hour
    return Capacity(
        workers=workers,
        partitions=workers * PARTITIONS_PER_WORKER,
        brokers=brokers,
        redis_servers=redis_servers,
        redis_bytes=redis_bytes,
        worker_cores=worker_cores,
        broker_cores=broker_cores,
        redis_cores=redis_cores,
        dollars_a_million=dollars_an_hour / HOUR_S / rate * 1e6,
    )


def _with_headroom(cores: float) -> int:
    return ceil(round(cores / HEADROOM, 6))


def measure_costs(kind: str, engine: InferenceEngine) -> Costs:
    """The costs on this machine: the engine's are measured, and the others scaled by the same ratio."""
    known = costs_of(kind)
    engine_us = _engine_us(kind, engine)
    ratio = engine_us / known.engine_us
    return replace(
        known,
        engine_us=engine_us,
        worker_us=known.worker_us * ratio,
        redis_us=known.redis_us * ratio,
        broker_us=known.broker_us * ratio,
        source=(
            f"the engine on {MEASURED_TEXTS:,} {kind} here and now; the others are {ratio:.2f} times those of "
            f"{_SOURCE}, as the engine's is"
        ),
    )


def _engine_us(kind: str, engine: InferenceEngine) -> float:
    """CPU microseconds a text of the feed, after a round that fills the caches."""
    texts = (record for record in Feed(_SEED, topics=_TOPICS) if record.topic == kind)
    requests = []
    for number, record in enumerate(islice(texts, MEASURED_TEXTS)):
        fields = msgspec.json.decode(record.value)
        requests.append(Request(number, fields["text"], fields.get("final", True)))
    engine.score(requests)
    rounds_s = []
    for _ in range(MEASURED_ROUNDS):
        began_s = time.process_time()
        engine.score(requests)
        rounds_s.append(time.process_time() - began_s)
    return 1e6 * min(rounds_s) / len(requests)


def _check(rate: float, num_streams: int, prices: Prices) -> None:
    problems = []
    if not (isfinite(rate) and rate > 0):
        problems.append(f"--rate {rate:g}: must be a number of records a second above 0")
    if num_streams < 1:
        problems.append(f"--streams {num_streams}: must be at least 1")
    problems += [
        f"--{name.replace('_', '-')} {price:g}: must be dollars, 0 or more"
        for name, price in prices._asdict().items()
        if not (isfinite(price) and price >= 0)
    ]
    if problems:
        raise SettingsError("; ".join(problems))


def lines(rate: float, kind: str, num_streams: int, costs: Costs, prices: Prices) -> list[str]:
    """The plan for people. Raises what `plan_capacity` raises."""
    plan = plan_capacity(rate, num_streams, costs, prices)
    return [
        f"{rate:,.0f} {kind}/s of {num_streams:,} streams",
        f"workers      {plan.workers:>8,}   of one core; {plan.worker_cores:,.1f} cores in use, at most {HEADROOM:.0%}",
        f"partitions   {plan.partitions:>8,}   of the input topic: {PARTITIONS_PER_WORKER} a worker",
        f"brokers      {plan.brokers:>8,}   of {CORES_PER_BROKER} cores, {REPLICATION} replicas; "
        f"{plan.broker_cores:,.1f} cores in use",
        f"Redis        {plan.redis_servers:>8,}   of one core; {plan.redis_cores:,.2f} cores in use, "
        f"{plan.redis_bytes:,} bytes ({plan.redis_bytes / GIB:,.2f} GiB)",
        f"dollars      {plan.dollars_a_million:>8,.4f}   a million texts, at {prices.core_hour:g} a core-hour and "
        f"{prices.redis_gib_hour:g} a GiB-hour of Redis",
        *(f"{'':13}{service.dollars:>8,.0f}   {service.name}: {service.basis}" for service in SERVICES),
        f"CPU us a record: engine {costs.engine_us:.0f}, rest of the worker {costs.worker_us:.0f}, Redis "
        f"{costs.redis_us:.0f}, broker {costs.broker_us:.0f} a replica; {costs.redis_stream_bytes:,} bytes a stream",
        f"measured by: {costs.source}",
    ]
