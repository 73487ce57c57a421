"""Log lines on stderr, as text or JSON, through one handler for the worker and its libraries."""

from __future__ import annotations

import json
import logging

import pytest

from worker.monitoring.logs import LIBRARIES, REPEAT_S, RepeatFilter, configure_logs
from worker.settings import load_settings

pytestmark = pytest.mark.usefixtures("same_logs_afterwards")


def test_json_lines_contain_the_known_extra_fields_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(load_settings(log_format="json"))
    extra = {"action": "take_over", "topic": "tweets", "partition": 3, "offset": 0, "text": "private"}
    logging.getLogger("worker.ownership.manager").info("owned from %d on", 0, extra=extra)
    captured = capsys.readouterr()
    assert captured.out == ""
    line = json.loads(captured.err)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "worker.ownership.manager",
        "message": "owned from 0 on",
        "action": "take_over",
        "topic": "tweets",
        "partition": 3,
        "offset": 0,
    }


def test_a_traceback_stays_in_its_json_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(load_settings(log_format="json"))
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        logging.getLogger("worker").exception("it failed")
    (line,) = capsys.readouterr().err.splitlines()
    assert "ZeroDivisionError" in json.loads(line)["traceback"]


def test_text_lines_start_with_time_level_and_logger(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(load_settings())
    logging.getLogger("worker.service.app").warning("slow")
    time, rest = capsys.readouterr().err.split(" ", maxsplit=1)
    assert (len(time), time[-1], rest) == (len("2026-11-21T05:00:00.000Z"), "Z", "WARNING worker.service.app: slow\n")


@pytest.mark.parametrize("name", LIBRARIES)
def test_libraries_log_warnings_in_a_service_and_nothing_in_a_command(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs(load_settings(), is_service=True)
    logging.getLogger(name).info("chatter")
    logging.getLogger(name).warning("trouble")
    configure_logs(load_settings())
    logging.getLogger(name).error("the command says it itself")
    assert [line.split(": ")[-1] for line in capsys.readouterr().err.splitlines()] == ["trouble"]


def test_the_level_applies_and_debug_shows_the_libraries_info_lines(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(load_settings(log_level="error"))
    logging.getLogger("worker").warning("hidden")
    configure_logs(load_settings(log_level="debug"))
    logging.getLogger("worker").debug("detail")
    logging.getLogger("faust").info("starting")
    assert [line.split(": ")[-1] for line in capsys.readouterr().err.splitlines()] == ["detail", "starting"]


def test_a_repeated_message_of_a_library_is_logged_once_per_interval() -> None:
    now_s = 100.0
    repeat_filter = RepeatFilter(lambda: now_s)

    def passes(name: str, message: str) -> bool:
        return repeat_filter.filter(logging.makeLogRecord({"name": name, "msg": message}))

    assert [passes("aiokafka.consumer", "no node") for _ in range(3)] == [True, False, False]
    assert passes("aiokafka.consumer", "another node")
    assert passes("aiokafka", "no node")
    now_s += REPEAT_S
    assert passes("aiokafka.consumer", "no node")


def test_messages_of_the_worker_itself_are_never_dropped() -> None:
    repeat_filter = RepeatFilter(lambda: 0.0)
    record = logging.makeLogRecord({"name": "worker.ownership.manager", "msg": "Redis is away"})
    assert all(repeat_filter.filter(record) for _ in range(3))
