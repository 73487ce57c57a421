"""The machine that a benchmark runs on: its processor and its instruction sets."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

_FEATURES = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_bf16", "amx_int8")


def describe_machine() -> dict[str, Any]:
    """The processor, its relevant features, the number of cores and the version of Python."""
    fields, flags = _cpu_fields(), cpu_flags().split()
    return {
        "processor": fields.get("model name", platform.processor() or platform.machine()),
        "features": [feature for feature in _FEATURES if feature in flags],
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def cpu_flags() -> str:
    """The flags of the first processor as /proc/cpuinfo prints them; empty where there is none."""
    return _cpu_fields().get("flags", "")


def _cpu_fields() -> dict[str, str]:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    fields = dict(line.split("\t: ", 1) for line in reversed(lines) if "\t: " in line)
    return {name.strip(): value for name, value in fields.items()}
