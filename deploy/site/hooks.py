"""What the site needs beside docs/: pages of the top folder, source files that pages link to, and Mermaid's script.

The sources' links are those of a repository. Here they lead to the same pages and files within the site, so that the
build checks each of them; a link to a folder becomes its text.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from posixpath import relpath
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
TOP_PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s:#]+)(#[^)\s]*)?\)")
_SOURCES = "source"
# NiceGUI brings Mermaid as a module; its fences are not of the class that Material loads Mermaid from a CDN for.
_DRAW = """import { mermaid } from "./index.js";
const isDark = document.body.dataset.mdColorScheme === "slate";
mermaid.initialize({ startOnLoad: false, theme: isDark ? "dark" : "default" });
await mermaid.run({ querySelector: ".diagram" });
"""


def on_files(files: Files, config: Any) -> Files:
    """Add the pages and files that docs/ does not hold."""
    for name, uri in TOP_PAGES.items():
        files.append(File.generated(config, uri, content=(ROOT / name).read_text(encoding="utf-8")))
    linked = {target for file in files.documentation_pages() for target in _outside_links(file)}
    for path in sorted(linked):
        files.append(File.generated(config, _uri_of(path), content=path.read_bytes()))
    for path in sorted(_mermaid().glob("*.js")):
        files.append(File.generated(config, f"mermaid/{path.name}", abs_src_path=str(path)))
    files.append(File.generated(config, "mermaid/draw.js", content=_DRAW))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The page with links that hold within the site."""
    folder = _folder_of(page.file)

    def within_site(found: re.Match[str]) -> str:
        text, target, anchor = found[1], (folder / found[2]).resolve(), found[3] or ""
        if target.is_dir():
            return text
        return f"[{text}]({relpath(_uri_of(target), Path(page.file.src_uri).parent.as_posix())}{anchor})"

    return _LINK.sub(within_site, markdown)


def _folder_of(file: File) -> Path:
    """The folder that the page's links start from."""
    return ROOT if file.src_uri in TOP_PAGES.values() else ROOT / "docs"


def _outside_links(file: File) -> set[Path]:
    """The source files that the page links to."""
    targets = ((_folder_of(file) / target).resolve() for _, target, _ in _LINK.findall(file.content_string))
    return {path for path in targets if path.is_file() and _uri_of(path).startswith(_SOURCES)}


def _uri_of(path: Path) -> str:
    """Where the site has a file of the repository; a path that there is not stays what it is, and fails the build."""
    if path.is_relative_to(ROOT / "docs"):
        return path.relative_to(ROOT / "docs").as_posix()
    name = path.relative_to(ROOT).as_posix()
    return TOP_PAGES.get(name, f"{_SOURCES}/{name}.txt")


def _mermaid() -> Path:
    found = find_spec("nicegui")
    assert found is not None and found.origin is not None, "the diagrams need NiceGUI: pip install '.[docs]'"
    return Path(found.origin).parent / "elements" / "mermaid" / "dist"
