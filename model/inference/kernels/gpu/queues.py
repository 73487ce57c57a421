"""How work reaches a device of torch: at once on the CPU, captured and replayed on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Work = Callable[[], None]
"""Reads and writes buffers that exist before and after it, and asks the host for nothing."""


class Queue:
    """Work in order, and copies to the device and back. This one is of the CPU: all is done when a call returns."""

    def working(self) -> AbstractContextManager[Any]:
        """Inside of this, tensors are made and calculated with."""
        return nullcontext()

    def prepare(self, work: Work, *, tf32: bool = False) -> Work:
        """What to call for `work` to be done; `tf32`: its products may round float32 operands to 10 bits."""
        return work

    def send(self, array: NDArray[Any]) -> Tensor:
        """On the device for the work queued from now on; what is queued already does not wait for it."""
        return torch.from_numpy(np.ascontiguousarray(array))

    def receive(self, tensor: Tensor) -> Tensor:
        """What the work queued so far makes of `tensor`, which nothing queued later may change; there at `finish`."""
        return tensor

    def finish(self) -> None:
        """Wait until all that is received is there."""


class GpuQueue(Queue):
    """A stream of work that is captured as CUDA graphs and replayed, and a stream of copies through pinned memory.

    The rules are those of https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs: warmed up on the stream of
    the capture, so that what is compiled or allocated once is there before; nothing captured waits, copies between host
    and device, or depends on values. All replays run on one stream, so the graphs' own memory is used by one at a time.
    """

    def __init__(self) -> None:
        self._device = torch.device("cuda", torch.cuda.current_device())
        self._work = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        self._copies = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]

    def working(self) -> AbstractContextManager[Any]:
        """On the stream of work."""
        return torch.cuda.stream(self._work)

    def prepare(self, work: Work, *, tf32: bool = False) -> Work:
        """The replay of `work`, which is done once to warm up and once more to be captured."""
        graph = torch.cuda.CUDAGraph()
        with float32_products(tf32=tf32):
            with self.working():
                work()
            # other threads may go on allocating meanwhile
            with torch.cuda.graph(graph, stream=self._work, capture_error_mode="thread_local"):
                work()
        return graph.replay

    def send(self, array: NDArray[Any]) -> Tensor:
        """From pinned memory, which torch keeps until the copy is done."""
        with torch.cuda.stream(self._copies):
            tensor = torch.from_numpy(np.ascontiguousarray(array)).pin_memory().to(self._device, non_blocking=True)
        self._work.wait_stream(self._copies)
        tensor.record_stream(self._work)  # so that its memory is not given away before the work is done
        return tensor

    def receive(self, tensor: Tensor) -> Tensor:
        """Into pinned memory, when the work queued so far is done."""
        self._copies.wait_stream(self._work)
        with torch.cuda.stream(self._copies):
            host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            host.copy_(tensor, non_blocking=True)
        tensor.record_stream(self._copies)
        return host

    def finish(self) -> None:
        """Blocks this thread; the interpreter's lock is free for others."""
        self._copies.synchronize()


@contextmanager
def float32_products(*, tf32: bool = False) -> Iterator[None]:
    """What products of float32 do that are queued or captured inside; a flag of the process, put back afterwards."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
