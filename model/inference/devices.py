"""Devices and precisions that the network runs in, and the checks that a device is usable."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Literal, cast

from model.config import ModelConfig
from model.errors import ConfigError
from model.inference.kernels import recurrence
from model.inference.kernels.cpu import CpuNetwork
from model.inference.state import FloatArray

Device = Literal["cpu", "cuda"]
Precision = Literal["float32", "int8", "tf32", "bf16"]

PRECISIONS: dict[Device, tuple[Precision, ...]] = {
    "cpu": recurrence.CPU_PRECISIONS,
    "cuda": ("float32", "tf32", "bf16"),
}
"""Device -> precisions of its recurrent products. float32 is exact on every device."""

_LEAST_CAPABILITY = {"float32": (7, 0), "tf32": (8, 0), "bf16": (8, 0)}  # compute capability: Volta, Ampere


def check_device(device: Device, precision: Precision) -> None:
    """Check that this machine can run the network on `device` in `precision`.

    Raises ConfigError if it cannot; the message says what to do.
    """
    if device not in PRECISIONS:
        raise ConfigError(f"device {device} is unknown: take one of {', '.join(PRECISIONS)}")
    if precision not in PRECISIONS[device]:
        raise ConfigError(f"device {device} has no precision {precision}: take one of {', '.join(PRECISIONS[device])}")
    if device == "cuda":
        problem = next(_missing_for_cuda(precision), None)
        if problem:
            raise ConfigError(f"device cuda cannot be used: {problem}; or take device cpu")


def _missing_for_cuda(precision: Precision) -> Iterator[str]:
    """What is missing and what to do about it, in the order to fix it: later problems may follow from earlier ones."""
    if not find_spec("torch"):
        yield "torch is not installed: pip install '.[gpu]'"
        return
    torch = import_module("torch")
    if not torch.version.cuda:
        yield f"torch {torch.__version__} is built without CUDA: install a build with it"
    elif not torch.cuda.is_available():
        yield (
            f"torch {torch.__version__} sees no GPU: nvidia-smi must list one, with a driver for CUDA "
            f"{torch.version.cuda}, and a container must be started with it"
        )
    elif (capability := torch.cuda.get_device_capability()) < (least := _LEAST_CAPABILITY[precision]):
        yield (
            f"{torch.cuda.get_device_name()} has compute capability {'.'.join(map(str, capability))}, "
            f"{precision} needs {'.'.join(map(str, least))}"
        )
    if not find_spec("triton"):
        yield "triton is not installed: pip install '.[gpu]'"
    if not any(map(shutil.which, [os.environ["CC"]] if "CC" in os.environ else ["gcc", "clang"])):
        yield "there is no C compiler, which Triton needs: install gcc or clang, or name one in CC"


def make_network(
    config: ModelConfig, weights: Mapping[str, FloatArray], *, device: Device, precision: Precision, threads: int
) -> CpuNetwork:
    """The network with these weights on `device`. Raises ConfigError if `check_device` does."""
    check_device(device, precision)
    if device == "cuda":
        network: CpuNetwork = import_module("model.inference.kernels.cuda").CudaNetwork(
            config, weights, precision=precision
        )
        return network
    return CpuNetwork(config, weights, precision=cast(recurrence.CpuPrecision, precision), threads=threads)
