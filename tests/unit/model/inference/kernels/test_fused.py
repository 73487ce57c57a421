"""Tests of the GPU kernel without a GPU: in Triton's interpreter against torch, and compiled to machine code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from model.inference.kernels.gpu.fused import launch_options, step_kernel

ROOT = Path(__file__).parents[5]


def test_the_kernel_computes_the_same_as_torch() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.unit.model.inference.kernels.interpreted_kernel"],
        cwd=ROOT,
        env=os.environ | {"TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == "the same\n"


@pytest.mark.parametrize(("capability", "operand", "size"), [(80, "*bf16", 256), (90, "*fp32", 128)])
def test_the_kernel_compiles_for_gpus_that_this_machine_lacks(capability: int, operand: str, size: int) -> None:
    types = {"ids": "*i32", "operand": operand, "total": "*fp64", "means": "*fp64"}
    options = launch_options(size)
    sizes = {name: options.pop(name) for name in ("SIZE", "LANES")}
    signature = {name: "constexpr" if name in sizes else types.get(name, "*fp32") for name in step_kernel.arg_names}
    aligned = {(number,): [["tt.divisibility", 16]] for number in range(len(signature) - len(sizes))}
    source = ASTSource(step_kernel, signature, sizes, aligned)
    compiled = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    assert compiled.asm["cubin"]
    assert "ld.global.v4" in compiled.asm["ptx"], "four neighbouring cells are one load"
