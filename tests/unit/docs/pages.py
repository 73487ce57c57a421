"""The pages of the documentation, their code blocks and code spans."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


class Block(NamedTuple):
    """A fenced block: its page, its language ("" for none) and its text."""

    page: str
    language: str
    text: str


@cache
def text_of(page: Path) -> str:
    """The page's text."""
    return page.read_text(encoding="utf-8")


def name_of(page: Path) -> str:
    """The page's path from the root of the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks(*languages: str) -> list[Block]:
    """The fenced blocks of these languages on all pages."""
    fence = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
    found = (Block(name_of(page), *one) for page in PAGES for one in fence.findall(text_of(page)))
    return [block for block in found if block.language in languages]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", text_of(page), flags=re.MULTILINE | re.DOTALL)


def command_lines() -> Iterator[tuple[str, str]]:
    """The page and text of each shell command: in fenced blocks of shell, and as code spans in prose."""
    for block in blocks("sh", "console"):
        for line in block.text.replace("\\\n", " ").splitlines():
            if block.language == "sh" or line.startswith("$ "):
                yield block.page, line.removeprefix("$ ")
    for page in PAGES:
        for span in re.findall(r"`([^`\n]+)`", prose(page)):
            yield name_of(page), span


def programs(line: str) -> Iterator[str]:
    """The single programs of a shell line, without comments, redirections and variables set for them."""
    line = re.sub(r"(^|\s)#.*", "", line.replace("\\|", "|"))  # a table escapes its bars
    for part in re.split(r"\||&&|;", line):
        plain = re.sub(r"\s[12]?>\s*\S+", "", part).strip()
        yield re.sub(r"^([A-Z_]+=\S*\s+)+", "", plain).removeprefix(".venv/bin/")
