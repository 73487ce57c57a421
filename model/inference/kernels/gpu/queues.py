"""Queues of work for a torch device: run at once on the CPU, captured and replayed on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Work = Callable[[], None]
"""Works on buffers that outlive it, and transfers nothing from or to the host."""


class Queue:
    """Runs work in order, and copies to the device and back. This one is for the CPU: each call runs to completion."""

    def working(self) -> AbstractContextManager[Any]:
        """The context in which tensors are created and computed."""
        return nullcontext()

    def prepare(self, work: Work, *, tf32: bool = False) -> Work:
        """A function that runs `work`. With `tf32`, its products may round float32 operands to 10 bits of mantissa."""
        return work

    def send(self, array: NDArray[Any]) -> Tensor:
        """Copy to the device, for work that is queued later. Work that is already queued does not wait for the copy."""
        return torch.from_numpy(np.ascontiguousarray(array))

    def receive(self, tensor: Tensor) -> Tensor:
        """Copy from the device after the work queued so far. The result is complete after `finish`.

        Work that is queued later must not change `tensor`.
        """
        return tensor

    def finish(self) -> None:
        """Wait until all copies from the device are complete."""


class GpuQueue(Queue):
    """A CUDA stream of work, captured as graphs and replayed, and a stream of copies through pinned memory.

    It follows https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs. Work runs once before its capture, on
    the same stream, so that everything is compiled and allocated. Captured work does not wait, does not copy between
    host and device, and does not depend on values. All replays run on one stream, so no two graphs use their memory at
    the same time.
    """

    def __init__(self) -> None:
        self._device = torch.device("cuda", torch.cuda.current_device())
        self._work = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        self._copies = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]

    def working(self) -> AbstractContextManager[Any]:
        """The stream of work."""
        return torch.cuda.stream(self._work)

    def prepare(self, work: Work, *, tf32: bool = False) -> Work:
        """Run `work` once to warm up and once to capture it; return the function that replays it."""
        graph = torch.cuda.CUDAGraph()
        with float32_products(tf32=tf32):
            with self.working():
                work()
            # thread_local: other threads may allocate during the capture
            with torch.cuda.graph(graph, stream=self._work, capture_error_mode="thread_local"):
                work()
        return graph.replay

    def send(self, array: NDArray[Any]) -> Tensor:
        """Copy from pinned memory, which torch keeps until the copy is complete."""
        with torch.cuda.stream(self._copies):
            tensor = torch.from_numpy(np.ascontiguousarray(array)).pin_memory().to(self._device, non_blocking=True)
        self._work.wait_stream(self._copies)
        tensor.record_stream(self._work)  # keeps its memory until the work is done
        return tensor

    def receive(self, tensor: Tensor) -> Tensor:
        """Copy into pinned memory after the work queued so far."""
        self._copies.wait_stream(self._work)
        with torch.cuda.stream(self._copies):
            host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            host.copy_(tensor, non_blocking=True)
        tensor.record_stream(self._copies)
        return host

    def finish(self) -> None:
        """Block this thread until all copies are complete. The GIL is released meanwhile."""
        self._copies.synchronize()


@contextmanager
def float32_products(*, tf32: bool = False) -> Iterator[None]:
    """Set the precision of float32 products that are queued or captured inside. The flag is global; it is restored."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
