"""Lets a demo's page break the demo's parts and send texts into its feed, by a socket that only its user can open."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

import redis

from worker.errors import SentimentError
from worker.records.types import MAX_NAME_CHARS
from worker.settings import Settings
from worker.stack import LocalStack, Server
from worker.tools.simulate import FeedRecord

PAUSE_S: Final = 5.0
MAX_TEXT_CHARS: Final = 2_000


class Control:
    """What the page may ask for. has_broken: a part was broken on purpose, after which a worker may end."""

    def __init__(self, settings: Settings, stack: LocalStack, worker: Server) -> None:
        self._settings = settings
        self._stack = stack
        self._worker = worker
        self._typed: SimpleQueue[FeedRecord] = SimpleQueue()
        self._num_typed = 0
        self._lock = asyncio.Lock()
        self.has_broken = False
        self.is_feeding = True
        self._actions: dict[str, Callable[[], str]] = {
            "kill_worker": self._kill_worker,
            "pause_worker": self._pause_worker,
            "empty_redis": self._empty_redis,
            "restart_broker": self._restart_broker,
        }

    @contextlib.asynccontextmanager
    async def listening(self, path: Path) -> AsyncIterator[None]:
        """Answer at `path`, which is in a folder that only this user can enter."""
        server = await asyncio.start_unix_server(self._answer, path)
        async with server:
            yield

    @property
    def is_busy(self) -> bool:
        """Whether a part is being broken, or started again."""
        return self._lock.locked()

    def restart_worker(self) -> None:
        """Start the worker again where it has ended."""
        if not self._worker.running:
            self._worker.start()

    def with_typed(self, records: Iterator[FeedRecord]) -> Iterator[FeedRecord]:
        """`records`, and before each of them what visitors have typed."""
        for record in records:
            yield from self._take_typed()
            yield record
        self.is_feeding = False
        yield from self._take_typed()

    def _take_typed(self) -> Iterator[FeedRecord]:
        with contextlib.suppress(Empty):
            while True:
                yield self._typed.get_nowait()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request: dict[str, Any] = json.loads(await reader.readline())
            done = await self._do(request)
            answer = {"done": done}
        except (SentimentError, redis.RedisError, OSError, ValueError, KeyError) as error:
            answer = {"error": str(error)}
        writer.write(json.dumps(answer).encode() + b"\n")
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.close()

    async def _do(self, request: dict[str, Any]) -> str:
        if request["action"] == "send":
            return self._send(str(request["stream"]), str(request["text"]))
        action = self._actions[request["action"]]
        async with self._lock:
            self.has_broken = True
            return await asyncio.to_thread(action)

    def _send(self, stream: str, text: str) -> str:
        if not self.is_feeding:
            raise ValueError("the feed has ended")
        self._num_typed += 1
        fields = {"id": f"typed-{self._num_typed}", "stream": stream[:MAX_NAME_CHARS], "text": text[:MAX_TEXT_CHARS]}
        key = fields["stream"].encode("utf-8", "replace")
        self._typed.put(FeedRecord(self._settings.topics[0], key, json.dumps(fields).encode(), 0))
        return "sent"

    def _kill_worker(self) -> str:
        self._worker.kill()
        self.restart_worker()
        return "The worker was killed (SIGKILL) and started again."

    def _pause_worker(self) -> str:
        self._worker.pause()
        try:
            time.sleep(PAUSE_S)
        finally:
            self._worker.resume()
        return f"The worker stood still for {PAUSE_S:g} s (SIGSTOP) and goes on."

    def _empty_redis(self) -> str:
        with redis.Redis.from_url(self._stack.redis) as client:
            client.flushall()
        return "Redis was emptied (FLUSHALL): the worker rebuilds what it needs from Kafka."

    def _restart_broker(self) -> str:
        for broker in self._stack.brokers:
            broker.restart()
        return "The Kafka broker was restarted."
