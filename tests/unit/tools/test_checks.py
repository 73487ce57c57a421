"""`sentiment check` checks every dependency, even after one fails; the servers are fakes here."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.errors import EXIT_DEPENDENCY, EXIT_FAILED, EXIT_OK, DependencyError, TopicsError
from worker.settings import Settings, load_settings
from worker.tools import checks
from worker.tools.checks import Finding, check_all


class FakeBrokers:
    """A cluster with three topics, unless `error` is set."""

    error: Exception | None = None

    def __init__(self, _: Settings) -> None:
        pass

    async def __aenter__(self) -> FakeBrokers:
        if self.error is not None:
            raise self.error
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def topics(self) -> set[str]:
        return {"tweets", "reviews", "sentiment.events"}


async def well(*_: object) -> str:
    """What real brokers answer is tested in tests/integration/tools/test_check.py."""
    return "well"


class FakeRedis:
    """A healthy Redis, unless `error` is set."""

    error: Exception | None = None

    @classmethod
    async def check(cls, _: Settings) -> str:
        if cls.error is not None:
            raise cls.error
        return "takes claims"


@pytest.fixture(autouse=True)
def servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeBrokers, "error", None)
    monkeypatch.setattr(FakeRedis, "error", None)
    monkeypatch.setattr(checks, "Brokers", FakeBrokers)
    monkeypatch.setattr(checks, "check_redis", FakeRedis.check)
    monkeypatch.setattr(checks, "check_topics", lambda _: None)
    monkeypatch.setattr(checks, "broker_version", lambda _: "4.1")
    for name in ("check_cluster", "describe_inputs", "describe_outputs"):
        monkeypatch.setattr(checks, name, well)


def found(checkpoint: Path) -> dict[str, Finding]:
    return {finding.name: finding for finding in check_all(load_settings(checkpoint=checkpoint))}


def test_four_healthy_dependencies_give_four_findings(tiny_checkpoint: Path) -> None:
    findings = found(tiny_checkpoint)
    assert list(findings) == ["kafka", "topics", "redis", "checkpoint"]
    assert {finding.exit_code for finding in findings.values()} == {EXIT_OK}
    assert "3 topics" in findings["kafka"].detail
    assert "fingerprint" in findings["checkpoint"].detail


def test_without_kafka_the_topics_are_not_checked_but_the_others_are(tiny_checkpoint: Path) -> None:
    FakeBrokers.error = DependencyError("Kafka", "here", "does not answer", "Start it")
    findings = found(tiny_checkpoint)
    assert findings["kafka"].exit_code == findings["topics"].exit_code == EXIT_DEPENDENCY
    assert "without Kafka" in findings["topics"].detail
    assert findings["redis"].exit_code == EXIT_OK


def test_unsuitable_topics_are_a_failure_of_the_topics_check(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Settings) -> None:
        raise TopicsError("missing topics: tweets")

    monkeypatch.setattr(checks, "check_topics", refuse)
    findings = found(tiny_checkpoint)
    assert findings["topics"] == Finding("topics", "missing topics: tweets", EXIT_FAILED)


def test_a_redis_that_does_not_answer_is_named(tiny_checkpoint: Path) -> None:
    FakeRedis.error = DependencyError("Redis", "there", "does not answer", "Start it")
    findings = found(tiny_checkpoint)
    assert findings["redis"].exit_code == EXIT_DEPENDENCY
    assert "there" in findings["redis"].detail


def test_a_checkpoint_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    findings = found(tmp_path / "absent")
    assert findings["checkpoint"].exit_code == EXIT_FAILED
    assert "absent" in findings["checkpoint"].detail
