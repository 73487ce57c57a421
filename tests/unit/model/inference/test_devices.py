"""Tests of devices: an unusable one is refused before anything is loaded, and the error says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from model import ConfigError, InferenceEngine
from model.inference import devices
from model.inference.devices import PRECISIONS, check_device


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine that has everything a GPU needs."""
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "A GPU")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 0))
    monkeypatch.setattr(devices, "find_spec", lambda name: name)
    monkeypatch.setattr(devices.shutil, "which", lambda name: name)
    return monkeypatch


@pytest.mark.parametrize(
    ("device", "precision"), [(device, precision) for device, found in PRECISIONS.items() for precision in found]
)
@pytest.mark.usefixtures("with_gpu")
def test_a_complete_machine_passes_the_check(device: str, precision: str) -> None:
    check_device(device, precision)


def test_without_torch_the_extra_is_named(with_gpu: pytest.MonkeyPatch) -> None:
    with_gpu.setattr(devices, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"torch is not installed: pip install '.\[gpu\]'; or take device cpu"):
        check_device("cuda", "float32")


def test_a_torch_without_cuda_and_a_machine_without_gpu_have_different_errors(with_gpu: pytest.MonkeyPatch) -> None:
    with_gpu.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"sees no GPU: nvidia-smi must list one, with a driver for CUDA 13\.0"):
        check_device("cuda", "float32")
    with_gpu.setattr(torch.version, "cuda", None)
    with pytest.raises(ConfigError, match="is built without CUDA"):
        check_device("cuda", "float32")


def test_a_gpu_that_is_too_old_for_a_precision_is_named(with_gpu: pytest.MonkeyPatch) -> None:
    with_gpu.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    check_device("cuda", "float32")
    with pytest.raises(ConfigError, match=r"A GPU has compute capability 7\.5, bf16 needs 8\.0"):
        check_device("cuda", "bf16")


def test_a_missing_compiler_is_named_because_triton_needs_one(with_gpu: pytest.MonkeyPatch) -> None:
    with_gpu.setattr(devices.shutil, "which", lambda name: None)
    with_gpu.delenv("CC", raising=False)
    with pytest.raises(ConfigError, match="no C compiler"):
        check_device("cuda", "float32")
    with_gpu.setattr(devices.shutil, "which", lambda name: name if name == "tcc" else None)
    with_gpu.setenv("CC", "tcc")
    check_device("cuda", "float32")


@pytest.mark.parametrize(("device", "precision"), [("tpu", "float32"), ("cpu", "bf16")])
def test_an_unknown_device_or_precision_is_refused(device: str, precision: str) -> None:
    with pytest.raises(
        ConfigError, match=r"tpu is unknown: take one of cpu, cuda|no precision bf16: take one of float32"
    ):
        check_device(device, precision)


def test_an_engine_checks_the_device_before_it_loads_the_checkpoint(with_gpu: pytest.MonkeyPatch) -> None:
    with_gpu.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="sees no GPU"):
        InferenceEngine.load(Path("absent"), device="cuda")
