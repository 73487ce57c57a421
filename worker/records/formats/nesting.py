"""JSON that is nested deeper than a parser's stack."""

from __future__ import annotations

import re
from typing import Final

MAX_DEPTH: Final = 100  # far beyond any field's path, far below Python's recursion limit

_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


def prune_nested(text: str) -> str:
    """The JSON text with null for each object and array beyond MAX_DEPTH; what is broken stays broken."""
    kept: list[str] = []
    depth = start = 0
    for token in _TOKEN.finditer(text):
        if token[0] in {"[", "{"}:
            depth += 1
            if depth == MAX_DEPTH + 1:
                kept.append(text[start : token.start()] + "null")
        elif token[0] in {"]", "}"}:
            if depth == MAX_DEPTH + 1:
                start = token.end()
            depth -= 1
    return "".join(kept) + ("" if depth > MAX_DEPTH else text[start:])
