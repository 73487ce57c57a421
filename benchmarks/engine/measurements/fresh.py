"""A fresh process that measures its own start and memory.

    python -m benchmarks.engine.measurements.fresh CHECKPOINT NUM_CHARS

It prints one line of JSON once the engine is warm, and another one after the largest batch that the engine takes. That
batch has the characters that need most memory: each is a token, and no two neighbours are equal.

It imports nothing but the engine, since its imports are part of what is measured.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from model.inference.batch import Request
from model.inference.engine import MAX_BATCH_CHARS, MAX_BATCH_REQUESTS, InferenceEngine

_FIRST_CHAR, _NUM_CHARS = 0x4E00, 20_000


def resident_bytes() -> int:
    """Resident memory of the process; where the system does not report it, its peak."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * resource.getpagesize() if statm.exists() else peak_bytes()


def peak_bytes() -> int:
    """Peak resident memory of the process, without that of its parent before exec, where the system reports it."""
    status = Path("/proc/self/status")
    if status.exists():
        [most_kib] = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(most_kib) * 1024
    unit_bytes = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit_bytes


def largest_batch(num_chars: int) -> list[Request]:
    """MAX_BATCH_REQUESTS requests with `num_chars` characters in total."""
    text = "".join(chr(_FIRST_CHAR + at % _NUM_CHARS) for at in range(num_chars // MAX_BATCH_REQUESTS))
    return [Request(stream, text) for stream in range(MAX_BATCH_REQUESTS)]


def main() -> None:
    """Start as a worker does, then read the largest batch."""
    checkpoint, num_chars = sys.argv[1:]
    engine = InferenceEngine.load(Path(checkpoint))
    engine.warm_up()
    started = {"cpu_s": time.process_time(), "resident_bytes": resident_bytes(), "peak_bytes": peak_bytes()}
    print(json.dumps(started), flush=True)
    engine.score(largest_batch(min(int(num_chars), MAX_BATCH_CHARS)))
    print(json.dumps({"peak_bytes": peak_bytes()}), flush=True)


if __name__ == "__main__":
    main()
