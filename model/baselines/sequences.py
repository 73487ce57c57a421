"""Token ids as the sequences that a language model reads: columns of a running text, or lines side by side."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

IGNORED = -100
"""The target of what fills a batch up; cross_entropy leaves it out."""


def columns_of(ids: Tensor, num_columns: int) -> Tensor:
    """Cut ids, (time,), into equal columns, (batch, time); the remainder at the end is dropped."""
    num_steps = len(ids) // num_columns
    return ids[: num_steps * num_columns].reshape(num_columns, num_steps)


def lines_of(ids: Tensor, line: int, num_lines: int) -> list[Tensor]:
    """The lines of ids, (time,), at most `num_lines` in each tensor (batch, time), filled up with IGNORED.

    `line` is the id that ends a line. Here it begins each line too, as a prompt does.
    """
    ends = torch.nonzero(ids == line).flatten().tolist()
    begins = [0, *(end + 1 for end in ends)]
    mark = ids.new_tensor([line])
    lines = [torch.cat([mark, ids[begin : end + 1]]) for begin, end in zip(begins, ends, strict=False)]
    batches = (lines[start : start + num_lines] for start in range(0, len(lines), num_lines))
    return [pad_sequence(batch, batch_first=True, padding_value=IGNORED) for batch in batches]


def windows_of(ids: Tensor, num_steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Windows of at most `num_steps` of ids, (batch, time), each with the id that follows every one of its ids.

    IGNORED is read as the id 0; as a target it stays.
    """
    last = ids.shape[1] - 1
    for start in range(0, last, num_steps):
        stop = min(start + num_steps, last)
        yield ids[:, start:stop].clamp(min=0), ids[:, start + 1 : stop + 1]
