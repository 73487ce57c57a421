"""The demo as a user runs it, on its own servers and with the packaged checkpoint."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

TIMEOUT_S = 500.0
COMMAND = [sys.executable, "-m", "worker.cli", "demo", "--rate", "200", "--json"]


def test_a_demo_accounts_for_every_record() -> None:
    done = subprocess.run([*COMMAND, "--seconds", "4"], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    summary = json.loads(line)
    assert list(summary) == ["records", "events", "dead_letters", "shifts", "p50_ms", "p99_ms"]
    assert summary["events"] + summary["dead_letters"] == summary["records"] == 800
    assert summary["dead_letters"] > 0
    assert 0 < summary["p50_ms"] <= summary["p99_ms"]


def test_ctrl_c_stops_the_feed_and_still_accounts_for_every_record() -> None:
    with subprocess.Popen(
        COMMAND, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            next(line for line in process.stderr if "records" in line and " 0 events" not in line)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
    assert process.returncode == 0, err
    summary = json.loads(out)
    assert summary["events"] + summary["dead_letters"] == summary["records"] > 0
