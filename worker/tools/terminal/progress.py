"""A progress bar on standard error, where that is a terminal; elsewhere nothing is written."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class Advance(Protocol):
    """Moves a bar on by a further `number`; `total` says how many there are, where that is found out on the way."""

    def __call__(self, number: int, total: int | None = None, /) -> None:
        """See the class."""


def is_progress_shown() -> bool:
    """Whether standard error is a terminal."""
    return sys.stderr.isatty()


def is_file(stream: TextIO) -> bool:
    """Whether the stream writes to a regular file."""
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except OSError:
        return False


@contextmanager
def shown_progress(
    what: str, total: int | None = None, *, unit: str = "records", is_shown: bool = True
) -> Iterator[Advance]:
    """A bar for `what` while the block runs; the block calls its value with each further number of `unit` that is done.

    total: None where nobody knows it yet: the bar then shows the number alone.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not (is_shown and is_progress_shown())
    ) as progress:
        task = progress.add_task(what, total=total)

        def advance(number: int, total: int | None = None, /) -> None:
            progress.update(task, advance=number, total=total)

        yield advance
