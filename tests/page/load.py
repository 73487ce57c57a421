"""`make page-load`: 5,000 records and events a second through a real broker, while a browser goes through the views.

The page must answer each click, keep its figures moving, and say that it samples.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import msgspec

from tests.factories import new_event
from tests.page.browser import chromium, page_address
from worker.kafka.topics import ensure_topics
from worker.records.codec import encode, format_time
from worker.records.types import EventMood, EventWord, Source
from worker.settings import Settings, load_settings
from worker.stack import LocalStack
from worker.tools.feed import send_feed
from worker.tools.simulate import FeedRecord

ANSWER_TIMEOUT_MS = 30_000
NUM_STREAMS = 100_000
VIEWS = {"/": "Now", "/streams": "Streams", "/dead-letters": "Dead letters", "/model": "Model", "/try": "Try it"}


def records(topic: str, events_topic: str) -> Iterator[FeedRecord]:
    """Texts and events by turns, of streams that take turns. The texts of the events are not theirs."""
    for number in count():
        stream = f"stream {number * 7919 % NUM_STREAMS}"
        value = msgspec.json.encode({"stream": stream, "text": f"good flight number {number}"})
        yield FeedRecord(topic, stream.encode(), value, 0)
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
        yield FeedRecord(events_topic, stream.encode(), encode(event), 0)


def send(settings: Settings, rate: float) -> None:
    """Send until the process is ended."""
    both = records(settings.topics[0], settings.events_topic)
    asyncio.run(send_feed(settings, both, 2 * rate, asyncio.Event()))


@contextmanager
def running_page(settings: Settings, environment: dict[str, str]) -> Iterator[str]:
    """The address of a page that follows `settings`."""
    command = [sys.executable, "-m", "worker.cli", "page", "--page-port", "0"]
    with subprocess.Popen(command, env=os.environ | environment, stderr=subprocess.PIPE, text=True) as page:
        try:
            yield page_address(page)
        finally:
            page.terminate()


def watch(page: Any, address: str, seconds: float) -> set[str]:
    """Go through the views for `seconds`; returns what Now said of its sampling.

    Raises playwright's TimeoutError where a click is not answered, or a figure stands still.
    """
    page.set_default_timeout(ANSWER_TIMEOUT_MS)
    ends, notes = time.monotonic() + seconds, set()
    while time.monotonic() < ends:
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
    return notes


def main() -> None:
    """Run it. Exit code 1 where the page did not say that it samples."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=5000, help="records a second, and as many events")
    arguments = parser.parse_args()
    with LocalStack() as stack:
        settings = load_settings(kafka=stack.kafka, redis=stack.redis, replication=1)
        ensure_topics(settings)
        feed = multiprocessing.get_context("spawn").Process(target=send, args=(settings, arguments.rate))
        with running_page(settings, stack.environment()) as address, chromium() as browser:
            feed.start()
            try:
                notes = watch(browser.new_page(), address, arguments.seconds)
            finally:
                feed.terminate()
                feed.join()
    print("every click was answered; the page said:", *sorted(notes), sep="\n  ")
    if not any("Sampled" in note or "left out" in note for note in notes):
        sys.exit("the page did not say that it samples")


if __name__ == "__main__":
    main()
