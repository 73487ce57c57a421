"""`sentiment demo`: real servers, a simulated feed, the worker in its own process, and its output.

1. Start Kafka and Redis, and create the topics.
2. Start the worker, and wait until /ready succeeds.
3. Feed records and consume events, shifts and dead letters, until a signal arrives or the time is up.
4. Wait, up to a timeout, until every record is answered: events + dead letters = records.
5. Stop the worker with SIGTERM, read what it published while it drained, and print a summary.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.live import Live

from model import phrase_languages
from worker.demo.control import Control
from worker.demo.processes import PageProcess, WorkerProcess, next_free_port
from worker.demo.tally import Summary, Tally
from worker.demo.view import render
from worker.errors import EXIT_OK, SentimentError
from worker.kafka.topics import ensure_topics
from worker.process import stop_on_signals
from worker.servers.fields import ServerSettings
from worker.settings import Settings
from worker.stack import LocalStack
from worker.tools.feed import send_feed
from worker.tools.simulate import Feed
from worker.tools.tail import open_reader

SEED: Final = 1
NUM_STREAMS: Final = 12  # as many as fit on a screen
POISON_SHARE: Final = 0.005
MOOD_HALF_LIFE_S: Final = 20.0  # the default of a demo: short enough that moods visibly move within a minute
FINISH_TIMEOUT_S: Final = 120.0
READ_TIMEOUT_S: Final = 60.0
FEED_TIMEOUT_S: Final = 60.0
WHAT_NEXT: Final = """
What to look at next:
  the page while a demo runs    http://127.0.0.1:8080/, its views: docs/page.md
  a text of your own            echo 'not bad at all' | sentiment score -
  servers that stay             sentiment stack; in other terminals, export what it prints, then there:
                                sentiment topics, sentiment worker, sentiment tail
  one text from bytes to event  docs/tutorial.md
  your own topics               docs/connect.md"""
_POLL_MS = 100
_FRAME_S = 0.25
_PROGRESS_S = 2.0


def run_demo(settings: Settings, seconds: float | None, rate: float, *, as_json: bool) -> None:
    """Feed `rate` records a second for `seconds`, or until Ctrl-C, and print the summary.

    Raises SentimentError when a record was not answered exactly once or the worker failed, and DependencyError when a
    server does not start.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_OK))
    _say("starting Kafka and Redis")
    with LocalStack() as stack:
        settings = _demo_settings(settings, stack)
        ensure_topics(settings)
        _say("starting the worker, which compiles its kernels on the first start")
        with WorkerProcess(stack.folder / "worker", settings) as worker:
            control = Control(settings, stack, worker)
            demo = _Demo(settings, worker, control, is_shown=sys.stdout.isatty() and not as_json)
            summary = asyncio.run(_run_with_page(demo, settings, stack.folder, control, seconds, rate))
        print(msgspec.json.encode(summary).decode() if as_json else _in_words(summary) + "\n" + WHAT_NEXT)
        if not summary.is_balanced:
            raise SentimentError(
                f"{summary.records} records, but {summary.events} events and {summary.dead_letters} dead letters; "
                f"the end of the worker's log:\n{worker.tail()}"
            )


async def _run_with_page(  # noqa: PLR0913, PLR0917 - what the demo consists of
    demo: _Demo, settings: Settings, folder: Path, control: Control, seconds: float | None, rate: float
) -> Summary:
    """Run the demo, with the page beside it where the extra `page` is installed."""
    if find_spec("nicegui") is None:
        _say("the live page needs the extra: pip install '.[page]'")
        return await demo.run(seconds, rate)
    path = folder / "control.sock"
    async with control.listening(path):
        page = PageProcess(folder / "page", settings, path)
        try:
            await asyncio.to_thread(page.start)
            _say(f"live page: http://{settings.page_host}:{page.port}/")
            return await demo.run(seconds, rate)
        finally:
            page.kill()


class _Demo:
    """Steps 3 to 5, which run in one event loop."""

    def __init__(self, settings: Settings, worker: WorkerProcess, control: Control, *, is_shown: bool) -> None:
        self._settings = settings
        self._worker = worker
        self._control = control
        self._console = Console()
        self._live = Live(console=self._console, auto_refresh=False) if is_shown else None
        self._tally = Tally(settings)
        self._hint = "Ctrl-C stops the feed, lets the worker finish and prints a summary"
        self._shown_at = 0.0

    async def run(self, seconds: float | None, rate: float) -> Summary:
        settings = self._settings
        outputs = (settings.events_topic, settings.shifts_topic, settings.deadletters_topic)
        stop = stop_on_signals()
        async with open_reader(settings, outputs, from_start=True) as reader:
            with self._live or nullcontext():
                feeding = asyncio.create_task(self._feed(seconds, rate, stop))
                await self._read(reader, feeding.done)
                num_records = await feeding
                self._hint = "the feed has ended; the worker processes the remaining records"
                await self._read(reader, lambda: self._tally.lag == 0, FINISH_TIMEOUT_S)
                await asyncio.to_thread(self._worker.stop)
                self._worker.check(EXIT_OK)
                await self._read_to_end(reader)
                self._hint = "done"
                self._show(force=True)
        return self._tally.summary(num_records)

    async def _feed(self, seconds: float | None, rate: float, stop: asyncio.Event) -> int:
        feed = Feed(
            SEED,
            num_streams=NUM_STREAMS,
            rate=rate,
            topics=(self._settings.topics[0], self._settings.topics[-1]),
            start_ms=int(time.time() * 1000),
            poison_share=POISON_SHARE,
            max_text_bytes=self._settings.max_text_bytes,
            languages=phrase_languages(),
        )
        records = islice(feed, None if seconds is None else round(seconds * rate))
        # A broker that a visitor restarts is back within this time.
        patient = self._settings.model_copy(update={"request_timeout_s": FEED_TIMEOUT_S})
        sent = self._tally.sending(self._control.with_typed(records))
        try:
            return await send_feed(patient, sent, rate, stop)
        finally:
            self._control.is_feeding = False

    async def _read(self, reader: Any, is_done: Callable[[], bool], timeout_s: float | None = None) -> None:
        """Read until `is_done` or the timeout. Raises SentimentError when the worker ends meanwhile."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not is_done() and (deadline is None or time.monotonic() < deadline):
            await self._take(reader)
            await self._check_worker()

    async def _check_worker(self) -> None:
        """Raises SentimentError when the worker has ended; after a visitor broke something, starts it again."""
        if self._control.is_busy:
            return
        if self._control.has_broken:
            await asyncio.to_thread(self._control.restart_worker)
        self._worker.check()

    async def _read_to_end(self, reader: Any) -> None:
        """Read the output topics to their current ends. Raises SentimentError after READ_TIMEOUT_S."""
        ends = await reader.end_offsets(reader.assignment())
        deadline = time.monotonic() + READ_TIMEOUT_S
        while any([await reader.position(tp) < end for tp, end in ends.items()]):
            if time.monotonic() > deadline:
                raise SentimentError(f"the output topics could not be read to their ends within {READ_TIMEOUT_S:g} s")
            await self._take(reader)

    async def _take(self, reader: Any) -> None:
        for records in (await reader.getmany(timeout_ms=_POLL_MS)).values():
            for record in records:
                self._tally.read(record)
        self._show()

    def _show(self, *, force: bool = False) -> None:
        """Show the table or print a line of progress, at most once per interval unless `force`."""
        interval_s = _FRAME_S if self._live else _PROGRESS_S
        if time.monotonic() - self._shown_at < interval_s and not force:
            return
        self._shown_at = time.monotonic()
        if self._live:
            self._live.update(render(self._tally, self._addresses(), self._hint, self._console), refresh=True)
        else:
            tally = self._tally
            _say(
                f"{tally.num_sent} records, {tally.num_events} events, {tally.num_dead_letters} dead letters, "
                f"{tally.num_shifts} shifts, lag {tally.lag}"
            )

    def _addresses(self) -> list[str]:
        health = f"http://{self._worker.address}"
        return [
            f"Kafka {self._settings.kafka}",
            f"Redis {self._settings.redis}",
            f"{health}/metrics",
            "/ready",
            "/live",
        ]


def _demo_settings(settings: Settings, stack: LocalStack) -> Settings:
    """`settings` with the servers of `stack` and, if the health port is taken, the next free port."""
    # What the user's own servers need, the local ones do not.
    update = {name: field.default for name, field in ServerSettings.model_fields.items()} | {
        "kafka": stack.kafka,
        "redis": stack.redis,
        "replication": 1,
        "health_port": next_free_port(settings.health_host, settings.health_port, "health"),
        "page_port": next_free_port(settings.page_host, settings.page_port, "page"),
    }
    if "mood_half_life_s" not in settings.model_fields_set:
        update["mood_half_life_s"] = MOOD_HALF_LIFE_S
    return settings.model_copy(update=update)


def _in_words(summary: Summary) -> str:
    latency = "" if summary.p50_ms is None else f"\nlatency: p50 {summary.p50_ms:g} ms, p99 {summary.p99_ms:g} ms"
    return (
        f"{summary.records:,} records: {summary.events:,} events, {summary.dead_letters:,} dead letters, "
        f"{summary.shifts:,} shifts{latency}"
    )


def _say(text: str) -> None:
    print(f"demo: {text}", file=sys.stderr, flush=True)
