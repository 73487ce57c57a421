"""Tables in Markdown, as model cards have them."""

from __future__ import annotations

from itertools import groupby


def uneven_tables(markdown: str) -> list[str]:
    """The first lines of the tables whose lines have different numbers of cells: they are not shown as tables."""
    found = []
    for is_table, lines in groupby(markdown.splitlines(), key=lambda line: line.startswith("|")):
        table = list(lines)
        if is_table and len({line.count("|") for line in table}) > 1:
            found.append(table[0])
    return found
