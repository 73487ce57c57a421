"""A visit of the page's service in a real browser, as somebody with its token and as somebody without."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.page.browser import chromium

TOKEN = "a-token-of-this-test"
WAIT_MS = 60_000


def visit(port: int, send: Callable[[Sequence[str]], None], stream: str) -> None:
    """Send records of `stream` while the page is open, and wait until it shows one with its words coloured.

    Raises AssertionError when the page shows itself without the token, playwright's TimeoutError when it shows nothing.
    """
    with chromium() as browser:
        page = browser.new_context(base_url=f"http://127.0.0.1:{port}").new_page()
        page.set_default_timeout(WAIT_MS)
        for path in ("/", "/streams", f"/?token={TOKEN[:-1]}"):
            status = page.goto(path).status
            assert status == 401, f"{path} without the token: {status}"
        page.goto(f"/?token={TOKEN}")
        page.locator("li", has_text="worker: redis: ok").wait_for()
        send([stream])
        page.locator(".texts li", has_text=stream).locator("mark").first.wait_for()
