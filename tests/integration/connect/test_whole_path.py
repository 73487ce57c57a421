"""The path of docs/connect.md from end to end, command by command as the page has it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.redis_servers import ClusterGroup, running
from tests.servers.secure_kafka import SecureKafka, secure_kafka
from worker.payloads.presets import examples

PAGE = Path(__file__).parents[3] / "docs" / "connect.md"
PRESET = "x-v1.1"


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    with secure_kafka(tmp_path_factory.mktemp("kafka"), **{"allow.everyone.if.no.acl.found": "true"}) as kafka:
        yield kafka


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterGroup]:
    group = ClusterGroup(tmp_path_factory.mktemp("redis"))
    with running(*group.servers):
        group.wait_ready()
        yield group


def commands(kafka: SecureKafka, cluster: ClusterGroup) -> list[str]:
    """The lines of the page's first block, with the addresses of these servers."""
    section = PAGE.read_text().split("## One path from end to end")[1]
    (block,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)[:1]
    block = block.replace("broker:9093", f"localhost:{kafka.ports['MUTUAL']}")
    return str(re.sub(r"redis\+cluster://\S+", cluster.url, block)).strip().splitlines()


def test_each_command_of_the_page_does_what_the_page_says(
    kafka: SecureKafka, cluster: ClusterGroup, tmp_path: Path
) -> None:
    for file in (kafka.certificates.ca, kafka.certificates.client, kafka.certificates.client_key):
        shutil.copy(file, tmp_path)
    program = tmp_path / "sentiment"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m worker.cli "$@"\n')
    program.chmod(0o755)
    environment = os.environ | {"SENTIMENT_CHECKPOINT": "small", "SENTIMENT_HEALTH_PORT": "0"}
    environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
    *lines, tail = commands(kafka, cluster)
    script = "\n".join(("set -e", *lines, f"exec {tail}"))
    num_posts = len(examples(PRESET))
    with subprocess.Popen(
        ["bash", "-c", script], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as shell:
        try:
            events = _read_events(shell)
        finally:
            shell.kill()
    authors = {json.loads(post).get("user", {}).get("id_str") for post in examples(PRESET)}
    assert 0 < len(events) < num_posts, "retweets and notices are skipped"
    assert {event["stream"] for event in events} <= authors
    assert all(event["source"]["topic"] == "posts" for event in events)


def _read_events(shell: subprocess.Popen[str]) -> list[dict[str, object]]:
    """The events that `tail` shows, as many as `payloads try` announced."""
    assert shell.stdout is not None
    num_expected, events = 0, []
    for line in shell.stdout:
        if re.match(r"\d+  event ", line):
            num_expected += 1
        elif "FAILED" in line:
            raise AssertionError(line)
        elif line.startswith("{"):
            events.append(json.loads(line))
            if len(events) == num_expected:
                shell.send_signal(signal.SIGINT)
                break
    assert len(events) == num_expected, shell.stderr and shell.stderr.read()
    return events
