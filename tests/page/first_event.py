"""`python -m tests.page.first_event` times a newcomer: from a clean clone to the first event on the live page.

It clones this repository into a temporary folder and runs `make demo` there with an empty home, so that nothing comes
from a cache. pip's log and the demo's output tell what part of the time was downloads.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from datetime import datetime
from pathlib import Path

from tests.page.browser import chromium

ROOT = Path(__file__).parents[2]
FIRST_EVENT_TIMEOUT_MS = 120_000
DEMO_S = 20


def measure(folder: Path) -> None:
    """Clone into `folder`, run the demo, and print what has passed since the beginning at each step, in seconds."""
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {what}", flush=True)

    clone, log = folder / "clone", folder / "pip.log"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    say("cloned")
    (folder / "home").mkdir()
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    environment |= {"HOME": str(folder / "home"), "PIP_LOG": str(log), "PIP_NO_CACHE_DIR": "1"}
    command = ["make", "demo", f"ARGS=--seconds {DEMO_S} --page-port 0 --json"]
    with subprocess.Popen(
        command, cwd=clone, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "━" not in line:  # pip's bars
                say(line.rstrip())
            if found := re.search(r"live page: (\S+)", line):
                with chromium() as browser:
                    page = browser.new_page()
                    page.goto(found[1])
                    page.locator(".texts mark").first.wait_for(timeout=FIRST_EVENT_TIMEOUT_MS)
                say("the page shows its first event")
                break
        demo.communicate()
    print(f"{downloading_s(log.read_text()):7.1f} s  of it pip resolved and downloaded")


def downloading_s(log: str) -> float:
    """Seconds from pip's first line to the last that says that it installs what it has collected.

    The earlier ones are of what builds the package.
    """
    (first,) = re.findall(r"\A(\S+) ", log)
    last = re.findall(r"^(\S+) Installing collected", log, re.MULTILINE)[-1]
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        measure(Path(made))
