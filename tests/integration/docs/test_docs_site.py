"""The documentation as a site: what the sources link to is there, and a browser shows it without any other host."""

from __future__ import annotations

import logging
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

from tests.page.browser import chromium
from tests.unit.docs.pages import blocks

ROOT = Path(__file__).parents[3]
BAD_LINKS = {
    "nowhere.md": "not found among documentation files",
    "promise.md#nowhere": "does not contain an anchor '#nowhere'",
    "../worker/nowhere.py": "not found among documentation files",
}


def build_site(folder: Path, docs: Path = ROOT / "docs") -> None:
    """Raises Abort where a link, an anchor or the navigation is wrong."""
    config = load_config(str(ROOT / "deploy/site/mkdocs.yml"), docs_dir=str(docs), site_dir=str(folder), strict=True)
    config.plugins.on_startup(command="build", dirty=False)
    build(config)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the built site."""
    folder = tmp_path_factory.mktemp("site")
    build_site(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_a_browser_draws_every_diagram_of_the_sources(site: str) -> None:
    sources = Counter(block.page for block in blocks("mermaid"))
    with chromium() as browser:
        page = browser.new_page()
        for source, num_diagrams in sources.items():
            path = "index" if source == "README.md" else Path(source).stem
            page.goto(f"{site}/{path}.html")
            for n in range(num_diagrams):
                # A diagram with a mistake becomes a picture of an error.
                page.locator(".diagram").nth(n).locator("svg[aria-roledescription]").wait_for()
            assert page.locator(".diagram").count() == num_diagrams, source
            assert page.locator("svg[aria-roledescription=error]").count() == 0, source


def test_links_to_sources_and_the_search_work_without_any_other_host(site: str) -> None:
    with chromium() as browser:
        page = browser.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{site}/architecture.html")
        href = page.get_by_role("link", name="pipeline").first.get_attribute("href")
        assert page.request.get(f"{site}/{href}").text().startswith('"""')
        page.goto(f"{site}/index.html")
        page.locator("img[src='page-now.png']").wait_for()
        page.wait_for_load_state("networkidle")  # the search reads its index first
        page.get_by_placeholder("Search").press_sequentially("redrive", delay=50)
        page.locator(".md-search-result__item").first.wait_for()
    assert [url for url in asked if not url.startswith((site, "data:", "blob:"))] == []


def test_a_dead_link_or_anchor_fails_the_build(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    docs = shutil.copytree(ROOT / "docs", tmp_path / "docs")
    with (docs / "decisions.md").open("a") as page:
        page.write("".join(f"\n[there]({link})\n" for link in BAD_LINKS))
    with caplog.at_level(logging.WARNING), pytest.raises(Abort):
        build_site(tmp_path / "site", docs)
    said = [record.getMessage() for record in caplog.records if "decisions.md" in record.getMessage()]
    assert len(said) == len(BAD_LINKS)
    for link, problem in BAD_LINKS.items():
        assert any(Path(link).name.partition("#")[0] in one and problem in one for one in said), link
