"""Compares the kernel in Triton's interpreter with torch operations: TRITON_INTERPRET=1 python -m <this>.

It is a process of its own, because Triton chooses between interpreter and compiler when it is imported.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model.inference.kernels.gpu.fused import step_on_gpu
from model.inference.kernels.gpu.words import step_in_torch

ROWS = ([3, -1, 0, 8], [-1], [5], [1, 1, 1])  # tokens, -1 for none
SIZES = (1, 5, 16, 24)
VOCABULARY = 9


def arguments(tokens: list[int], size: int, operand: torch.dtype) -> list[Tensor]:
    """The arguments of the kernel, in order, for rows in the middle of their texts."""
    random = torch.Generator().manual_seed(size + len(tokens))
    rows = len(tokens)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random)

    hidden = drawn(rows, size).tanh()
    return [
        drawn(rows, 4 * size) * 3,
        torch.tensor(tokens, dtype=torch.int32),
        drawn(VOCABULARY, 4 * size) * 3,
        hidden,
        drawn(rows, size),
        torch.maximum(hidden, drawn(rows, size).tanh()),
        hidden.to(operand, copy=True),
        drawn(rows, size).double(),
        torch.cat([drawn(rows, 3), torch.randint(0, 9, (rows, 1), generator=random)], dim=1).double(),
        drawn(9, size),
        drawn(3),
        drawn(rows, 3),
    ]


def main() -> None:
    """Raises AssertionError if the two differ."""
    for tokens in ROWS:
        for size in SIZES:
            for operand, bound in ((torch.float32, 1e-5), (torch.bfloat16, 8e-3)):
                found, expected = (arguments(tokens, size, operand) for _ in range(2))
                step_on_gpu(*found)
                step_in_torch(*expected)
                for tensor, other in zip(found, expected, strict=True):
                    torch.testing.assert_close(tensor, other, rtol=0, atol=bound if tensor.dtype == operand else 1e-5)
    print("the same")


if __name__ == "__main__":
    main()
