"""What a fresh process needs to serve, run as one.

    python -m benchmarks.engine.measurements.fresh CHECKPOINT NUM_CHARS

Prints a line of JSON once the first text is read, and one more after a batch at the bound of the engine, made of the
characters that cost most memory: those that are a token each, and no two in a row the same.
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
    """What the process holds now; where the system does not tell, the most that it held."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * resource.getpagesize() if statm.exists() else peak_bytes()


def peak_bytes() -> int:
    """The most that the process held so far; not what its parent held before it became this program."""
    status = Path("/proc/self/status")
    if status.exists():
        [most_kib] = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(most_kib) * 1024
    unit_bytes = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit_bytes


def largest_batch(num_chars: int) -> list[Request]:
    """As many requests as fit in a batch, with `num_chars` characters in all."""
    text = "".join(chr(_FIRST_CHAR + at % _NUM_CHARS) for at in range(num_chars // MAX_BATCH_REQUESTS))
    return [Request(stream, text) for stream in range(MAX_BATCH_REQUESTS)]


def main() -> None:
    """Start as a worker does, then read."""
    checkpoint, num_chars = sys.argv[1:]
    engine = InferenceEngine.load(Path(checkpoint))
    engine.warm_up()
    started = {"cpu_s": time.process_time(), "resident_bytes": resident_bytes(), "peak_bytes": peak_bytes()}
    print(json.dumps(started), flush=True)
    engine.score(largest_batch(min(int(num_chars), MAX_BATCH_CHARS)))
    print(json.dumps({"peak_bytes": peak_bytes()}), flush=True)


if __name__ == "__main__":
    main()
