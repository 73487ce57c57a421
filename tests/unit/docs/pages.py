"""The pages of the documentation, their code blocks and code spans."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[3]
SHELLS = ("sh", "console")
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
    """The fenced blocks of these languages on all pages; of all languages, where none is named."""
    fence = re.compile(r"^ *```([^\n]*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
    found = (Block(name_of(page), *one) for page in PAGES for one in fence.findall(text_of(page)))
    return [block for block in found if not languages or block.language in languages]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```", "", text_of(page), flags=re.MULTILINE | re.DOTALL)


def shell_lines(block: Block) -> list[str]:
    """The lines that a block of shell gives to the shell."""
    lines = block.text.replace("\\\n", " ").splitlines()
    return lines if block.language == "sh" else [line[2:] for line in lines if line.startswith("$ ")]


def command_lines() -> Iterator[tuple[str, str]]:
    """The page and text of each shell command: in fenced blocks of shell, and as code spans in prose."""
    for block in blocks(*SHELLS):
        for line in shell_lines(block):
            yield block.page, line
    for page in PAGES:
        for span in re.findall(r"`([^`\n]+)`", prose(page)):
            yield name_of(page), span


def programs(line: str) -> Iterator[str]:
    """The single programs of a shell line, without comments, redirections and variables set for them."""
    line = re.sub(r"(^|\s)#.*", "", line.replace("\\|", "|"))  # a table escapes its bars
    for part in re.findall(r"""(?:'[^']*'|"[^"]*"|[^'"|;&])+""", line):
        plain = re.sub(r"\s[12]?>\s*\S+", "", part).strip()
        yield re.sub(r"^([A-Z_]+=('[^']*'|\S*)\s+)+", "", plain).removeprefix(".venv/bin/")


def commands_of(*names: str) -> list[tuple[str, str]]:
    """The page and text of each run of these programs on a page. The changelog also names what was removed."""
    found = {(page, one) for page, line in command_lines() for one in programs(line) if page != "CHANGELOG.md"}
    return sorted((page, one) for page, one in found if one.partition(" ")[0] in names)
