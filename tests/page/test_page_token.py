"""The page beyond loopback in a real browser, with a checkpoint of many languages and no server behind it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.page.browser import chromium, page_address
from tests.page.test_page import WAIT_MS
from worker.stack.server import free_port

TOKEN = "a-token-of-this-test"
CHECKPOINT = Path(__file__).parents[2] / "model" / "checkpoints" / "small"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small checkpoint, as if it had been measured in two more languages."""
    folder = shutil.copytree(CHECKPOINT, tmp_path_factory.mktemp("checkpoints") / "languages")
    metrics = json.loads((folder / "metrics.json").read_text())
    first = next(row for row in metrics["rows"] if row["mode"] == "reset")
    metrics["rows"] += [first | {"corpus": f"{code}_tweets", "language": code} for code in ("de", "fr")]
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


@contextmanager
def running_page(checkpoint: Path, port: int) -> Iterator[str]:
    """Where a page on every address answers, with a token and without a Kafka."""
    flags = ["--page-host", "0.0.0.0", "--page-port", str(port), "--checkpoint", str(checkpoint)]
    flags += ["--kafka", f"127.0.0.1:{free_port()}", "--request-timeout-s", "1"]
    with subprocess.Popen(
        [sys.executable, "-m", "worker.cli", "page", *flags],
        env=os.environ | {"SENTIMENT_PAGE_TOKEN": TOKEN},
        stderr=subprocess.PIPE,
        text=True,
    ) as page:
        try:
            yield page_address(page)
        finally:
            page.kill()


@pytest.fixture(scope="module")
def address(checkpoint: Path) -> Iterator[str]:
    with running_page(checkpoint, 0) as found:
        yield found


@pytest.fixture
def page(address: str) -> Iterator[Any]:
    with chromium() as browser:
        opened = browser.new_context(base_url=address, viewport={"width": 320, "height": 700}).new_page()
        opened.set_default_timeout(WAIT_MS)
        yield opened


def test_without_the_right_token_nothing_is_shown_and_with_it_the_page_lives(page: Any) -> None:
    for path in ("/", "/model", f"/?token={TOKEN[:-1]}x", "/streams?token="):
        assert page.goto(path).status == 401
        assert page.locator("body").inner_text().startswith("This page needs its token")
        assert page.context.cookies() == []
    page.goto(f"/streams?token={TOKEN}")
    page.get_by_role("heading", name="Streams").wait_for()
    assert TOKEN not in page.url, "neither the history nor a bookmark keeps the token"
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    page.goto("/")
    page.get_by_text("does not answer").first.wait_for()  # Kafka; it came over the websocket, which the cookie opens
    page.get_by_role("button", name="Pause updates").click()
    page.get_by_role("button", name="Resume updates").wait_for()
    page.context.clear_cookies()
    assert page.goto("/").status == 401


def test_a_browser_goes_on_by_itself_when_the_page_is_started_again(checkpoint: Path, page: Any) -> None:
    port = free_port()
    with running_page(checkpoint, port) as first:
        page.goto(f"{first}/?token={TOKEN}")
        page.get_by_role("button", name="Pause updates").click()
        page.get_by_role("button", name="Resume updates").wait_for()
    with running_page(checkpoint, port):
        page.get_by_role("button", name="Pause updates").wait_for()  # the new process knows of no pause
        page.get_by_text("does not answer").first.wait_for()


def test_the_model_view_shows_each_language_and_its_confusion(page: Any) -> None:
    page.goto(f"/model?token={TOKEN}")
    table = page.get_by_role("region", name="Languages, the one of most texts first")
    for code in ("en", "de", "fr"):
        table.get_by_role("cell", name=code, exact=True).wait_for()
    page.get_by_text("Confusion in de", exact=True).click()
    page.get_by_role("region", name="de: rows are the texts' labels").wait_for()
    found = Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
