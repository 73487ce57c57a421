"""A demo with its page, as a user starts it, and a Chromium that drives it."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CHROMIUM = "/usr/bin/chromium"
INSTALL = "the page's tests need Chromium: apt-get install chromium (as .ci/run does), or set CHROMIUM on the PATH"
READY_TIMEOUT_S = 400.0
STOP_TIMEOUT_S = 60.0


@contextmanager
def running_demo(*flags: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of the page of a demo, and the demo, which Ctrl-C ends."""
    command = [sys.executable, "-m", "worker.cli", "demo", "--page-port", "0", "--json", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        timer = threading.Timer(READY_TIMEOUT_S, demo.kill)
        timer.start()
        try:
            address = _address(demo)
            timer.cancel()
            yield address, demo
        finally:
            timer.cancel()
            if demo.poll() is None:
                demo.send_signal(signal.SIGINT)
                try:
                    demo.wait(STOP_TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    demo.kill()


def _address(demo: subprocess.Popen[str]) -> str:
    return _printed(demo, r"live page: (\S+)/")[1]


def page_address(page: subprocess.Popen[str]) -> str:
    """Where the page of `sentiment page` answers on this machine."""
    port = _printed(page, r"page: http://\S+:(\d+)/")[1]
    return f"http://127.0.0.1:{port}"


def _printed(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    """The first line of standard error that has `pattern`. What is printed later is read and dropped."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if found := re.search(pattern, line):
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return found
    raise AssertionError(f"ended before its page was ready:\n{''.join(said)}")


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser of playwright. Raises AssertionError, which says what to install, where there is none."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - the extra `test`

    program = shutil.which("chromium") or shutil.which("chromium-browser") or CHROMIUM
    assert shutil.which(program), INSTALL
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()
