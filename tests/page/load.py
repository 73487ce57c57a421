"""`make page-load`: 1,000,000 streams, and 5,000 records and events a second, while a browser goes through the views.

A real broker gets one event of each stream as fast as it takes them, then records and events at the rate. The page must
answer each click, keep its figures moving, say that it samples and how many streams it keeps, and stay within
MAX_PAGE_BYTES.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import msgspec

from tests.factories.records import new_event
from tests.page.browser import chromium, page_address
from worker.kafka.topics import ensure_topics
from worker.records.codec import encode, format_time
from worker.records.types import EventMood, EventWord, Source
from worker.settings import Settings, load_settings
from worker.stack import LocalStack
from worker.tools.feed import send_feed
from worker.tools.simulate import FeedRecord

ANSWER_TIMEOUT_MS = 30_000
MAX_PAGE_BYTES = 700 << 20
VIEWS = {"/": "Now", "/streams": "Streams", "/dead-letters": "Dead letters", "/model": "Model", "/try": "Try it"}


def event_of(topic: str, events_topic: str, number: int, num_streams: int) -> FeedRecord:
    """The event of the input record at offset `number`. Streams take turns."""
    stream = f"stream {number * 7919 % num_streams}"
    label, score = ("negative", -0.8) if number % 3 else ("positive", 0.8)
    event = new_event(
        id=f"{topic}-0-{number}",
        stream=stream,
        source=Source(topic, 0, number, format_time(round(time.time() * 1000))),
        label=label,
        score=score,
        words=[EventWord("flight", 5, 11, score)],
        mood=EventMood(score, 0.8, 1),
    )
    return FeedRecord(events_topic, stream.encode(), encode(event), 0)


def records(topic: str, events_topic: str, num_streams: int) -> Iterator[FeedRecord]:
    """Texts and events by turns. The texts of the events are not theirs."""
    for number in count():
        value = msgspec.json.encode({"text": f"good flight number {number}"})
        yield FeedRecord(topic, f"stream {number * 7919 % num_streams}".encode(), value, 0)
        yield event_of(topic, events_topic, number, num_streams)


def send(settings: Settings, rate: float, num_streams: int, are_sent: Event) -> None:
    """Send an event of each stream, set `are_sent`, then send at the rate until the process is ended."""
    topics = settings.topics[0], settings.events_topic
    first = (event_of(*topics, number, num_streams) for number in range(num_streams))
    asyncio.run(send_feed(settings, first, None, asyncio.Event()))
    are_sent.set()
    asyncio.run(send_feed(settings, records(*topics, num_streams), 2 * rate, asyncio.Event()))


@contextmanager
def running_page(environment: dict[str, str]) -> Iterator[tuple[str, int]]:
    """The address and the process id of a page that follows the servers of `environment`."""
    command = [sys.executable, "-m", "worker.cli", "page", "--page-port", "0"]
    with subprocess.Popen(command, env=os.environ | environment, stderr=subprocess.PIPE, text=True) as page:
        try:
            yield page_address(page), page.pid
        finally:
            page.terminate()


def watch(page: Any, address: str, seconds: float, are_sent: Event) -> set[str]:
    """Go through the views until `are_sent` and for `seconds` more; returns what Now and Streams say of their sampling.

    Raises playwright's TimeoutError where a click is not answered, or a figure stands still.
    """
    page.set_default_timeout(ANSWER_TIMEOUT_MS)
    ends: float | None = None
    notes: set[str] = set()
    while ends is None or time.monotonic() < ends:
        if ends is None and are_sent.is_set():
            ends = time.monotonic() + seconds
        for path, name in VIEWS.items():
            page.goto(address + path)
            page.get_by_role("heading", name=name, exact=True).wait_for()
            if path == "/":
                page.locator(".texts li").first.wait_for()
                page.get_by_role("button", name="Pause updates").click()
                page.get_by_role("button", name="Resume updates").click()
                figures = page.locator("dl.figures").first
                before = figures.inner_text()
                arguments = [figures.element_handle(), before]
                page.wait_for_function("([one, text]) => one.innerText !== text", arg=arguments)
                notes |= set(page.get_by_role("note").all_inner_texts())
            elif path == "/streams":
                page.get_by_label("Search streams").fill("stream 79")
                page.get_by_text("shown", exact=False).first.wait_for()
                notes |= set(page.get_by_role("status").all_inner_texts())
    return notes


def resident_bytes(process_id: int) -> int:
    """The memory that a process holds."""
    return int(Path(f"/proc/{process_id}/statm").read_text().split()[1]) * resource.getpagesize()


def main() -> None:
    """Run it. Exit code 1 where the page did not say that it samples, or holds too much memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="at the rate, after an event of each stream")
    parser.add_argument("--rate", type=float, default=5000, help="records a second, and as many events")
    parser.add_argument("--streams", type=int, default=1_000_000)
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    are_sent = context.Event()
    with LocalStack() as stack:
        settings = load_settings(kafka=stack.kafka, redis=stack.redis, replication=1)
        ensure_topics(settings)
        feed = context.Process(target=send, args=(settings, arguments.rate, arguments.streams, are_sent))
        with running_page(stack.environment()) as (address, process_id), chromium() as browser:
            feed.start()
            try:
                notes = watch(browser.new_page(), address, arguments.seconds, are_sent)
                num_bytes = resident_bytes(process_id)
            finally:
                feed.terminate()
                feed.join()
    print("every click was answered; the page said:", *sorted(notes), sep="\n  ")
    print(f"the page holds {num_bytes >> 20} MiB")
    if not any("Sampled" in note or "left out" in note for note in notes):
        sys.exit("the page did not say that it samples")
    if num_bytes > MAX_PAGE_BYTES:
        sys.exit(f"more than {MAX_PAGE_BYTES >> 20} MiB")


if __name__ == "__main__":
    main()
