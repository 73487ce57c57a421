"""`python -m tests.page.screenshots FOLDER` takes the pictures of the README from a demo."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.page.browser import chromium, running_demo

PICTURES = {"page-now": "/", "page-streams": "/streams", "page-try": "/try", "page-break": "/break"}
DEMO_S = 30.0  # until streams have turned
WIDTH, HEIGHT, HEIGHT_OF_NOW = 1280, 920, 1200  # pixels; the view Now has its texts below its figures


def take(folder: Path) -> None:
    """Write one PNG for each of PICTURES."""
    with running_demo() as (address, _), chromium() as browser:
        time.sleep(DEMO_S)
        for name, path in PICTURES.items():
            height = HEIGHT_OF_NOW if path == "/" else HEIGHT
            page = browser.new_page(viewport={"width": WIDTH, "height": height})
            page.goto(address + path)
            page.locator({"/try": ".past", "/break": "[data-figure=lost]"}.get(path, "main mark")).first.wait_for()
            page.wait_for_timeout(1500)
            page.screenshot(path=folder / f"{name}.png")


if __name__ == "__main__":
    take(Path(sys.argv[1]))
