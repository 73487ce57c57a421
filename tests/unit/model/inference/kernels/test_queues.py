"""What a GPU's queue asks of torch, in order, with a fake `torch.cuda`; no GPU is needed, and none is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from model.inference.kernels.gpu import queues
from model.inference.kernels.gpu.queues import GpuQueue, Queue, float32_products


class FakeStream:
    """A stream that notes what is done to it."""

    def __init__(self, name: str, calls: list[str]) -> None:
        self.name, self.calls = name, calls

    def wait_stream(self, other: FakeStream) -> None:
        self.calls.append(f"{self.name} waits for {other.name}")

    def synchronize(self) -> None:
        self.calls.append(f"{self.name} is finished")


class FakeTensor:
    """A tensor that notes how it is moved."""

    dtype = torch.float32

    def __init__(self, array: Any, calls: list[str]) -> None:
        self.array, self.calls = array, calls
        self.shape = np.shape(array)

    def pin_memory(self) -> FakeTensor:
        self.calls.append("pinned")
        return self

    def to(self, device: str, *, non_blocking: bool) -> FakeTensor:
        assert non_blocking
        self.calls.append(f"copied to {device}")
        return self

    def copy_(self, other: FakeTensor, *, non_blocking: bool) -> None:
        assert non_blocking
        self.array = other.array
        self.calls.append("copied to the host")

    def record_stream(self, stream: FakeStream) -> None:
        self.calls.append(f"kept for {stream.name}")


class FakeTorch:
    """As much of torch as a GPU's queue calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        names = iter(("work", "copies"))
        self.precision = "medium"

        @contextmanager
        def stream(of: FakeStream) -> Iterator[None]:
            self.calls.append(f"on {of.name}")
            yield

        @contextmanager
        def graph(_: Any, stream: FakeStream, capture_error_mode: str) -> Iterator[None]:
            assert capture_error_mode == "thread_local"
            self.calls.append(f"captured on {stream.name} at {self.precision}")
            yield

        self.cuda = SimpleNamespace(
            current_device=lambda: 0,
            Stream=lambda _: FakeStream(next(names), self.calls),
            stream=stream,
            graph=graph,
            CUDAGraph=lambda: SimpleNamespace(replay=lambda: self.calls.append("replayed")),
        )

    def device(self, kind: str, number: int) -> str:
        return f"{kind}:{number}"

    def from_numpy(self, array: Any) -> FakeTensor:
        return FakeTensor(array, self.calls)

    def empty(self, shape: tuple[int, ...], *, dtype: Any, pin_memory: bool) -> FakeTensor:
        assert pin_memory
        return FakeTensor(np.empty(shape), self.calls)

    def get_float32_matmul_precision(self) -> str:
        return self.precision

    def set_float32_matmul_precision(self, precision: str) -> None:
        self.precision = precision


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeTorch:
    made = FakeTorch()
    monkeypatch.setattr(queues, "torch", made)
    return made


def work_of(fake: FakeTorch) -> Callable[[], None]:
    return lambda: fake.calls.append("done")


def test_work_is_done_once_to_warm_up_captured_once_and_then_replayed(fake: FakeTorch) -> None:
    replay = GpuQueue().prepare(work_of(fake))
    assert fake.calls == ["on work", "done", "captured on work at highest", "done"]
    replay()
    assert fake.calls[-1] == "replayed"
    assert fake.precision == "medium"


def test_tf32_is_what_a_capture_is_made_with_where_it_is_asked_for(fake: FakeTorch) -> None:
    GpuQueue().prepare(work_of(fake), tf32=True)
    assert "captured on work at high" in fake.calls
    assert fake.precision == "medium"


def test_a_copy_to_the_device_is_waited_for_by_the_work_that_follows(fake: FakeTorch) -> None:
    GpuQueue().send(np.zeros(3))
    assert fake.calls == ["on copies", "pinned", "copied to cuda:0", "work waits for copies", "kept for work"]


def test_a_copy_to_the_host_waits_for_the_work_before_it(fake: FakeTorch) -> None:
    queue = GpuQueue()
    tensor: Any = fake.from_numpy(np.arange(3))
    host: Any = queue.receive(tensor)
    queue.finish()
    assert fake.calls == [
        "copies waits for work",
        "on copies",
        "copied to the host",
        "kept for copies",
        "copies is finished",
    ]
    assert host.array is tensor.array


def test_the_precision_of_products_is_put_back_after_an_error() -> None:
    before = torch.get_float32_matmul_precision()
    with pytest.raises(ZeroDivisionError), float32_products(tf32=True):
        assert torch.get_float32_matmul_precision() == "high"
        raise ZeroDivisionError
    assert torch.get_float32_matmul_precision() == before


def test_the_queue_of_the_cpu_does_everything_at_once() -> None:
    queue, done = Queue(), []
    with queue.working():
        queue.prepare(lambda: done.append(1))()
    tensor = queue.send(np.arange(3.0))
    assert queue.receive(tensor) is tensor
    queue.finish()
    assert done == [1]
