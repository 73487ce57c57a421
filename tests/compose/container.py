"""What running containers show: what their images lack, how large those are, how soon a worker is ready, and the page
in a real browser."""

from __future__ import annotations

import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from tests.compose.project import DOCKER, Project
from tests.page.browser import chromium

PAGE_TOKEN = "a-token-of-this-test"
PAGE_WAIT_MS = 60_000
READY_TIMEOUT_S = 120.0
POLL_S = 0.1


def look_inside(project: Project, service: str, expected: Mapping[str, str]) -> None:
    """Run commands in the service's container. Raises AssertionError where one prints something else."""
    (container,) = project.containers(service)
    for command, printed in expected.items():
        done = _docker("exec", container["Id"], "sh", "-c", command)
        assert done.stdout.strip() == printed, (service, command, done.stdout, done.stderr)


def size_mb(image: str) -> float:
    """The size of an image, with that which it was built from."""
    return int(_docker("image", "inspect", "--format", "{{.Size}}", image).stdout) / 1e6


def ready_after_s(project: Project) -> float:
    """Wait until the one worker says that it is ready; the seconds from its container's start until then."""
    (container,) = project.containers("worker")
    port = container["NetworkSettings"]["Ports"]["6066/tcp"][0]["HostPort"]
    started = datetime.fromisoformat(container["State"]["StartedAt"])
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not _is_ready(f"http://127.0.0.1:{port}/ready"):
        assert time.monotonic() < deadline, f"the worker is not ready after {READY_TIMEOUT_S:g} s"
        time.sleep(POLL_S)
    return datetime.now(started.tzinfo).timestamp() - started.timestamp()


def visit_page(project: Project, send: Callable[[Sequence[str]], None], stream: str) -> None:
    """Send records of `stream` while the page is open, and wait until it shows one with its words coloured.

    Raises AssertionError when the page shows itself without the token, playwright's TimeoutError when it shows nothing.
    """
    with chromium() as browser:
        page = browser.new_context(base_url=f"http://127.0.0.1:{project.ports['page']}").new_page()
        page.set_default_timeout(PAGE_WAIT_MS)
        for path in ("/", "/streams", f"/?token={PAGE_TOKEN[:-1]}"):
            status = page.goto(path).status
            assert status == 401, f"{path} without the token: {status}"
        page.goto(f"/?token={PAGE_TOKEN}")
        page.locator("li", has_text="worker: redis: ok").wait_for()
        send([stream])
        page.locator(".texts li", has_text=stream).locator("mark").first.wait_for()


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=POLL_S * 10) as answer:
            return bool(answer.status == 200)
    except OSError:  # not listening yet, or not ready
        return False


def _docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*DOCKER, *arguments], capture_output=True, text=True, check=False)
