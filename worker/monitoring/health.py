"""Liveness, readiness and metrics over HTTP: /live, /ready and /metrics.

/live says whether a restart would help: it fails once the worker has made no progress for `progress_timeout_s`.
/ready says whether the worker can do its work now: it has an assignment, records flow, Kafka and Redis answer, and its
last progress is recent. A worker that is idle or waits for a server still makes progress: its loop goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from worker.errors import ListenError
from worker.monitoring.metrics import Metrics
from worker.settings import Settings

READY_SHARE = 1 / 3  # of progress_timeout_s, so that a worker is unready before it is not live
_SHUTDOWN_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Check:
    """One condition, whether it holds, and a description for people."""

    name: str
    ok: bool
    detail: str


class Health:
    """The latest observations of the worker, reported by its components, and the checks that follow from them."""

    def __init__(self, settings: Settings, metrics: Metrics, now_s: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._metrics = metrics
        self._now_s = now_s
        self._num_partitions: int | None = None
        self._flowing = False
        self._kafka_well: bool | None = None
        self._redis_well: bool | None = None
        self._last_progress_s = now_s()

    def progress(self) -> None:
        """The pipeline completed a round: it did some work, found none, or waited within its time limit."""
        self._last_progress_s = self._now_s()
        self._metrics.progress()

    def assigned(self, num_partitions: int | None) -> None:
        """The group assigned `num_partitions` to this worker, possibly 0; None means that a rebalance is under way."""
        self._num_partitions = num_partitions

    def flowing(self, flowing: bool) -> None:
        """Whether records are being fetched."""
        self._flowing = flowing

    def kafka_answered(self, *, well: bool) -> None:
        """Whether the last request to Kafka succeeded."""
        self._kafka_well = well

    def redis_answered(self, *, well: bool) -> None:
        """Whether the last request to Redis succeeded. Only writes prove that: a full Redis still answers reads."""
        self._redis_well = well

    def live(self) -> list[Check]:
        """The checks behind /live."""
        return [self._progress_check(self._settings.progress_timeout_s)]

    def ready(self) -> list[Check]:
        """The checks behind /ready."""
        count = self._num_partitions
        return [
            Check(
                "assigned",
                count is not None,
                "no partitions assigned by the group yet" if count is None else f"{count} partitions",
            ),
            Check("flowing", self._flowing, "records are fetched" if self._flowing else "fetching is paused"),
            _answer_check("kafka", self._kafka_well),
            _answer_check("redis", self._redis_well),
            self._progress_check(self._settings.progress_timeout_s * READY_SHARE),
        ]

    def _progress_check(self, bound_s: float) -> Check:
        age_s = self._now_s() - self._last_progress_s
        return Check("progress", age_s <= bound_s, f"last progress {age_s:.1f} s ago, at most {bound_s:g} s")


def _answer_check(server: str, well: bool | None) -> Check:
    detail = {None: "not asked yet", True: "answers", False: "did not answer the last request"}[well]
    return Check(server, well is True, detail)


class HealthServer:
    """Serves `health` and `metrics` until it is closed: `async with HealthServer(...) as server:`."""

    def __init__(self, settings: Settings, health: Health, metrics: Metrics) -> None:
        self._host, self._port = settings.health_host, settings.health_port
        self._health = health
        self._metrics = metrics
        app = web.Application()
        app.router.add_get("/live", self._live)
        app.router.add_get("/ready", self._ready)
        app.router.add_get("/metrics", self._expose)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=_SHUTDOWN_TIMEOUT_S)

    @property
    def port(self) -> int:
        """The port in use, even if the setting is 0."""
        return int(self._runner.addresses[0][1])

    async def start(self) -> None:
        """Start listening. Raises ListenError when the address is not available."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise ListenError("health", self._host, self._port, error) from error

    async def close(self) -> None:
        """Stop listening, and end open connections within a time limit."""
        await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _live(self, _: web.Request) -> web.Response:
        return _answer("live", self._health.live())

    async def _ready(self, _: web.Request) -> web.Response:
        return _answer("ready", self._health.ready())

    async def _expose(self, request: web.Request) -> web.Response:
        self._metrics.ready(_all_ok(self._health.ready()))
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._metrics.registry), headers={"Content-Type": content_type})


def _all_ok(checks: list[Check]) -> bool:
    return all(check.ok for check in checks)


def _answer(what: str, checks: list[Check]) -> web.Response:
    well = _all_ok(checks)
    body = {
        "status": what if well else f"not {what}",
        "checks": {check.name: {"ok": check.ok, "detail": check.detail} for check in checks},
    }
    return web.json_response(body, status=200 if well else 503)
