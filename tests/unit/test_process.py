"""How the process ends: at a crash point, after an error, and after a drain."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from worker.errors import SettingsError
from worker.process import CrashPoints

PAGE_BYTES = 4096
RUN_TIMEOUT_S = 120


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False
    )


def test_without_a_name_crash_points_do_nothing() -> None:
    points = CrashPoints(None)
    for name in CrashPoints.NAMES:
        points.reach(name)


def test_a_process_dies_when_its_crash_point_is_reached_for_the_count_th_time() -> None:
    done = run(
        "from worker.process import CrashPoints\n"
        "points = CrashPoints('committed:3')\n"
        "for n in range(9):\n"
        "    points.reach('scored'); print(n, flush=True); points.reach('committed')\n"
    )
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.split() == ["0", "1", "2"]


def test_a_process_stops_once_at_a_point_that_says_so_and_continues_after_a_signal() -> None:
    code = (
        "from worker.process import CrashPoints\n"
        "points = CrashPoints('committed:2:stop')\n"
        "for n in range(9):\n"
        "    points.reach('committed'); print(n, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "0\n"
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        assert process.poll() is None
        process.send_signal(signal.SIGCONT)
        assert process.stdout.read().split() == [str(number) for number in range(1, 9)]
        assert process.wait(RUN_TIMEOUT_S) == 0


@pytest.mark.parametrize(
    "crash_at", ["nowhere", "committed:x", ":1", "committed:stop", "committed:1:halt", "committed:1:stop:1"]
)
def test_an_unknown_crash_point_is_refused(crash_at: str) -> None:
    with pytest.raises(SettingsError, match="crash_at"):
        CrashPoints(crash_at)


def test_an_expected_error_ends_the_process_with_its_code_and_without_a_traceback() -> None:
    done = run(
        "import logging; logging.basicConfig()\n"
        "from worker.process import die\n"
        "from worker.errors import DependencyError\n"
        "die(DependencyError('Kafka', 'nowhere:1', 'does not answer', 'Start it'))\n"
    )
    assert done.returncode == 3
    assert "Kafka at nowhere:1: does not answer. Start it" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unexpected_error_ends_the_process_with_1_and_its_traceback() -> None:
    done = run(
        "import logging; logging.basicConfig()\n"
        "from worker.process import die\n"
        "try:\n    {}['x']\nexcept KeyError as error:\n    die(error)\n"
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_a_process_that_does_not_stop_by_itself_ends_with_0_after_its_bound() -> None:
    done = run("import time\nfrom worker.process import end_within\nend_within(0.2)\ntime.sleep(600)\n")
    assert done.returncode == 0


def test_memory_that_is_free_between_what_is_in_use_goes_back_to_the_system() -> None:
    done = run(
        "from pathlib import Path\n"
        "from worker.process import give_back_memory\n"
        "resident = lambda: int(Path('/proc/self/statm').read_text().split()[1])\n"
        "taken = [bytes(4000) for _ in range(50_000)]\n"
        "taken = taken[::50]\n"
        "before = resident(); give_back_memory(); print(before, resident())\n"
    )
    before, after = map(int, done.stdout.split())
    assert after < before / 2, done.stderr


def test_a_large_block_goes_back_to_the_system_although_a_larger_one_and_smaller_ones_came_before_and_after() -> None:
    done = run(
        "from pathlib import Path\n"
        "from worker.process import return_large_blocks\n"
        "resident = lambda: int(Path('/proc/self/statm').read_text().split()[1])\n"
        "return_large_blocks()\n"
        "largest = b'x' * 30_000_000; del largest\n"
        "taken = [(b'x' * 2_000_000, b'x' * 1_000) for _ in range(50)]\n"
        "before = resident(); taken = [small for _, small in taken]; print(before, resident())\n"
    )
    before, after = map(int, done.stdout.split())
    assert (before - after) * PAGE_BYTES > 0.9 * 100_000_000, done.stderr
