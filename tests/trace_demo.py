"""A short demo with traces on: `python -m tests.trace_demo` shows the trace of the slowest micro-batch as a tree."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.servers.otlp import OtlpReceiver, ReceivedSpan
from worker.settings import ENV_PREFIX


def main() -> None:
    """Run the demo, and print the tree."""
    parser = argparse.ArgumentParser(prog="python -m tests.trace_demo", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="duration of the feed")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sentiment-traces-") as folder, OtlpReceiver(Path(folder)) as receiver:
        variables = {f"{ENV_PREFIX}TRACES": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_url}
        command = [sys.executable, "-m", "worker.cli", "demo", "--seconds", str(args.seconds), "--json"]
        subprocess.run(command, env=os.environ | variables, check=True)
        receiver.stop()
        spans = receiver.spans()
    slowest = max((span for span in spans if span.name.startswith("process")), key=_duration_ns)
    print(f"{len(spans)} spans of {len({span.trace_id for span in spans})} traces; the slowest micro-batch:")
    print("\n".join(tree([span for span in spans if span.trace_id == slowest.trace_id], slowest)))


def tree(spans: Sequence[ReceivedSpan], root: ReceivedSpan, depth: int = 0) -> Iterator[str]:
    """A line for `root` and each span below it: when it begins after the root of all, and how long it takes."""
    first_ns = min(span.began_ns for span in spans)
    began_ms, took_ms = (root.began_ns - first_ns) / 1e6, _duration_ns(root) / 1e6
    yield f"{'  ' * depth + root.name:40} {began_ms:8.1f} ms {took_ms:8.1f} ms"
    for span in sorted(spans, key=lambda each: each.began_ns):
        if span.parent == root.span_id:
            yield from tree(spans, span, depth + 1)


def _duration_ns(span: ReceivedSpan) -> int:
    return span.ended_ns - span.began_ns


if __name__ == "__main__":
    main()
