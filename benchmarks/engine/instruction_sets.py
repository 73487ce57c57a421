"""Holds our kernels and the peers to an instruction set that the processor has, by what each library reads at load.

ONNX Runtime cannot be held: it always uses what the processor has.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

_AVX2 = "+sse4.2,+popcnt,+avx,+avx2,+fma,+f16c,+bmi,+bmi2,+lzcnt,+movbe"
_AVX512 = f"{_AVX2},+avx512f,+avx512vl,+avx512bw,+avx512dq,+avx512cd,+avx512vnni"
_AMX = f"{_AVX512},+avx512bf16,+amx-tile,+amx-int8,+amx-bf16"


class Isa(StrEnum):
    """The choices of the option."""

    AVX2 = "avx2"
    AVX512 = "avx512"
    AMX = "amx"
    NATIVE = "native"


VARIABLES = (
    "NUMBA_CPU_NAME",
    "NUMBA_CPU_FEATURES",
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
    "MKL_ENABLE_INSTRUCTIONS",
    "FBGEMM_ENABLE_INSTRUCTIONS",
    "OPENBLAS_CORETYPE",
)
"""What the libraries read: our kernels two, torch four, numpy the last one."""

_VALUES = {
    Isa.AVX2: ("generic", _AVX2, "avx2", "AVX2", "AVX2", "AVX2", "Haswell"),
    Isa.AVX512: ("generic", _AVX512, "avx512", "AVX512_CORE_VNNI", "AVX512", "AVX512_E1", "SkylakeX"),
    Isa.AMX: ("generic", _AMX, "avx512", "AVX512_CORE_AMX", "AVX512_E4", "AVX512_E1", "SapphireRapids"),
    Isa.NATIVE: (),
}
_FLAGS = {Isa.AVX2: "avx2", Isa.AVX512: "avx512_vnni", Isa.AMX: "amx_bf16", Isa.NATIVE: ""}

NOT_HELD = "ONNX Runtime uses what the processor has: it has no such setting"


def is_available(isa: Isa, flags: str) -> bool:
    """Whether a processor with these flags, as in /proc/cpuinfo, has the instruction set."""
    return not _FLAGS[isa] or _FLAGS[isa] in flags.split()


def environment_for(isa: Isa, environment: Mapping[str, str]) -> dict[str, str]:
    """`environment`, with the libraries held to `isa`; what another choice has set is removed."""
    others = {name: value for name, value in environment.items() if name not in VARIABLES}
    return others | dict(zip(VARIABLES, _VALUES[isa], strict=False))


def hold_to(isa: Isa) -> None:
    """Start this program again, held to `isa`, unless it is already: the libraries read their variables at load."""
    wanted = environment_for(isa, os.environ)
    if wanted != dict(os.environ):
        os.execve(sys.executable, sys.orig_argv, wanted)


def describe_kernels() -> dict[str, Any]:
    """The set that our kernels use, and the variables that hold them and the peers to it."""
    from model.inference.kernels.instruction_sets import HAS_VNNI, INSTRUCTION_SET  # noqa: PLC0415 - after `hold_to`
    from model.inference.kernels.tiles import HAS_TILES  # noqa: PLC0415

    names = [INSTRUCTION_SET.name, *["vnni"] * HAS_VNNI, *["amx"] * HAS_TILES]
    return {"kernels": names, "held": {name: os.environ[name] for name in VARIABLES if name in os.environ}}
