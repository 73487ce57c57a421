"""The live page in a real browser, on a demo with its own servers: one stack for all of these tests, in this order."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.page.browser import chromium, running_demo
from worker.page.live.audit import GRACE_S

VIEWS = {
    "/": ".texts mark",
    "/streams": "tbody a:visible",
    "/try": ".past",
    "/break": "[data-figure=lost]",
    "/dead-letters": "td",
    "/model": "td",
}  # and what is there once the view is filled
WAIT_MS = 120_000
MAX_ROW_PIXELS = 260
HOSTILE = '<script>document.title="broken"</script><img src=x onerror=\'document.title="broken"\'>'


@pytest.fixture(scope="module")
def demo() -> Iterator[tuple[str, Any]]:
    with running_demo("--rate", "30") as found:
        yield found


@pytest.fixture(scope="module")
def browser(demo: tuple[str, Any]) -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture
def open_view(demo: tuple[str, Any], browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a view; takes the options of a browser context."""
    contexts: list[Any] = []

    def open_(path: str, **options: Any) -> Any:
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.set_default_timeout(WAIT_MS)
        page.goto(demo[0] + path)
        return page

    yield open_
    for context in contexts:
        context.close()


def figure(page: Any, name: str) -> int:
    return int(page.locator(f"[data-figure={name}]").inner_text())


def focus_by_tab(page: Any, text: str, max_presses: int = 15) -> None:
    for _ in range(max_presses):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent").strip() == text:
            return
    raise AssertionError(f"{max_presses} presses of Tab do not reach {text!r}")


def await_that(holds: Callable[[], bool], what: str, timeout_s: float = 240.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.25)


def test_now_shows_rate_latency_labels_and_coloured_texts(open_view: Callable[..., Any]) -> None:
    page = open_view("/")
    page.locator(".texts mark").first.wait_for()
    text = page.locator("main").inner_text()
    for name in ("events per second", "latency p99", "lag, records", "negative", "positive", "worker: redis"):
        assert name in text
    assert page.locator("dd").filter(has_text="%").count() > 3, "shares of labels and of languages"
    assert {"en", "de", "ja"} & set(page.locator("dt").all_inner_texts())
    page.get_by_role("button", name="Pause updates").click()
    page.get_by_role("button", name="Resume updates").wait_for()


def test_a_view_is_reached_and_paused_by_the_keyboard_alone(open_view: Callable[..., Any]) -> None:
    page = open_view("/")
    page.locator(".texts mark").first.wait_for()
    focus_by_tab(page, "Streams")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Streams").wait_for()
    focus_by_tab(page, "Pause updates")
    page.keyboard.press("Space")
    page.get_by_role("button", name="Resume updates").wait_for()


def test_a_stream_is_found_and_shows_its_mood(open_view: Callable[..., Any]) -> None:
    page = open_view("/streams")
    row = page.locator("tbody a:visible").first
    row.wait_for()
    name = row.inner_text()
    page.get_by_label("Search streams").fill(name)
    page.get_by_text("1 shown").wait_for()
    page.get_by_role("link", name=name).click()
    page.get_by_role("heading", name=f"Stream {name}").wait_for()
    page.locator(".texts li").first.wait_for()
    assert page.get_by_role("img", name="Mood of the stream").count() == 1


def test_the_network_reads_word_by_word_with_two_pasts(open_view: Callable[..., Any]) -> None:
    page = open_view("/try")
    page.locator(".past").nth(1).wait_for()
    page.get_by_label("Your text").fill("it was not good")
    page.locator(".big").first.get_by_text("not", exact=False).first.wait_for()
    page.get_by_text("confidence").first.wait_for()
    assert page.get_by_role("img", name="Gates and cells").count() == 1
    pleased, annoyed = (
        float(page.locator(".past").nth(at).get_by_text("Its state alone").inner_text().split(": ")[1]) for at in (0, 1)
    )
    assert pleased > annoyed


def test_a_hostile_text_through_kafka_shows_as_text(open_view: Callable[..., Any]) -> None:
    page = open_view("/try")
    page.get_by_label("Stream", exact=True).fill("<b>visitor</b>")
    page.get_by_label("Text for the stream").fill(f"I love this {HOSTILE}")
    page.get_by_role("button", name="Send to Kafka").click()
    page.get_by_role("link", name="The stream's own view").click()
    page.get_by_role("heading", name="Stream <b>visitor</b>").wait_for()
    page.locator(".texts").get_by_text("<script>", exact=False).first.wait_for()
    assert "broken" not in page.title()
    assert page.locator("main img, main script, main b").count() == 0


@pytest.mark.parametrize(
    ("button", "done"),
    [
        ("Kill the worker", "was killed"),
        ("Pause the worker", "stood still"),
        ("Empty Redis", "was emptied"),
        ("Restart the broker", "was restarted"),
    ],
)
def test_nothing_is_lost_or_answered_twice(button: str, done: str, open_view: Callable[..., Any]) -> None:
    page = open_view("/break")
    page.locator("[data-figure=inputs]").wait_for()
    page.get_by_role("button", name=button).click()
    page.get_by_text(done, exact=False).first.wait_for()
    inputs = figure(page, "inputs")
    await_that(lambda: figure(page, "answered") > inputs, "the worker goes on with what came after")
    assert (figure(page, "lost"), figure(page, "twice")) == (0, 0)


def test_nothing_counts_as_lost_later_either(open_view: Callable[..., Any]) -> None:
    page = open_view("/break")
    page.locator("[data-figure=inputs]").wait_for()
    page.wait_for_timeout((GRACE_S + 3) * 1000)  # a gap counts as lost after that time
    assert (figure(page, "lost"), figure(page, "twice")) == (0, 0)


def test_dead_letters_have_reasons_and_are_redriven(open_view: Callable[..., Any]) -> None:
    page = open_view("/dead-letters")
    page.locator("td", has_text="pending").first.wait_for()
    page.get_by_role("button", name="Count").click()
    page.get_by_text("would be sent back").wait_for()
    page.get_by_role("button", name="Redrive").click()
    page.get_by_text("were sent back").wait_for()
    page.locator("td", has_text="redriven").first.wait_for()


def test_the_model_shows_calibration_and_confusion(open_view: Callable[..., Any]) -> None:
    page = open_view("/model")
    text = page.locator("main").inner_text()
    assert "Calibration error" in text and "rows are the texts' labels" in text
    assert "By language" in text
    page.get_by_text("Confusion in sst2_dev, state reset").click()
    page.get_by_role("region", name="sst2_dev, state reset: rows are the texts' labels").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_is_accessible_and_fits_320_pixels(scheme: str, open_view: Callable[..., Any]) -> None:
    problems: list[Any] = []
    link = open_view("/streams").locator("tbody a:visible").first.get_attribute("href")
    for path, filled in (VIEWS | {link: ".texts li"}).items():
        page = open_view(path, viewport={"width": 320, "height": 700}, color_scheme=scheme)
        page.locator(filled).first.wait_for()
        page.wait_for_timeout(500)
        found = Axe().run(page).response["violations"]
        problems += [(path, one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found]
        width = page.evaluate("document.documentElement.scrollWidth")
        problems += [(path, f"{width} pixels wide")] if width > 320 else []
        rows = page.locator("tr").evaluate_all("rows => rows.map(one => one.offsetHeight)")
        problems += [(path, f"a row of {max(rows)} pixels")] if max(rows, default=0) > MAX_ROW_PIXELS else []
        sizes = page.locator("h1, h2, h3").evaluate_all(
            "all => all.map(one => [one.tagName, parseFloat(getComputedStyle(one).fontSize)])"
        )
        by_rank = [size for _, size in sorted(sizes, reverse=True)]
        problems += [(path, sizes)] if by_rank != sorted(by_rank) else []
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.textContent")
        problems += [(path, f"Tab goes to {focused}")] if focused != "Skip to main content" else []
    assert problems == []


def test_the_demo_still_accounts_for_every_record(demo: tuple[str, Any]) -> None:
    process = demo[1]
    process.send_signal(2)
    out, _ = process.communicate(timeout=120)
    summary = json.loads(out)
    assert process.returncode == 0
    assert summary["events"] + summary["dead_letters"] == summary["records"] > 0
