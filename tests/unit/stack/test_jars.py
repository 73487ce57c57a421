"""Kafka's jars are fetched once, whole, by one process at a time; the repository is a fake here."""

from __future__ import annotations

import fcntl
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from worker.errors import DependencyError
from worker.stack import jars


class FakeArtifact:
    """A jar of the repository, and where the cache keeps it."""

    def __init__(self, cached_path: Path, content: bytes | None = None) -> None:
        self.cached_path = cached_path
        self.content = content
        self.num_fetched = 0

    def resolve(self) -> Path:
        self.num_fetched += 1
        self.cached_path.parent.mkdir(parents=True, exist_ok=True)
        if self.content is not None:
            self.cached_path.write_bytes(self.content)
        else:
            with zipfile.ZipFile(self.cached_path, "w") as jar:
                jar.writestr("Kafka.class", b"")
        return self.cached_path


class Repository:
    """What jgo resolves, or the error that it raises."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.artifacts = [FakeArtifact(cache / "a.jar"), FakeArtifact(cache / "b.jar")]
        self.error: Exception | None = None

    def resolve(self, _: str) -> list[FakeArtifact]:
        if self.error is not None:
            raise self.error
        return self.artifacts


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    found = Repository(tmp_path / "cache")
    settings = SimpleNamespace(load=lambda: SimpleNamespace(repo_cache=str(found.cache)))
    modules: dict[str, Any] = {"jgo": found, "jgo.config": SimpleNamespace(GlobalSettings=settings)}
    monkeypatch.setattr(jars, "local_module", modules.__getitem__)
    monkeypatch.setattr(jars, "LOCK_TIMEOUT_S", 0.05)
    return found


def test_the_first_call_fetches_every_jar_and_says_so(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    assert jars.kafka_jars() == [artifact.cached_path for artifact in repository.artifacts]
    assert [artifact.num_fetched for artifact in repository.artifacts] == [1, 1]
    assert "2 jars" in capsys.readouterr().err


def test_what_is_in_the_cache_is_not_fetched_again(repository: Repository) -> None:
    jars.kafka_jars()
    jars.kafka_jars()
    assert [artifact.num_fetched for artifact in repository.artifacts] == [1, 1]


def test_a_jar_that_was_cut_off_is_fetched_again(repository: Repository) -> None:
    jars.kafka_jars()
    repository.artifacts[1].cached_path.write_bytes(b"PK\x03\x04 and no end")
    jars.kafka_jars()
    assert [artifact.num_fetched for artifact in repository.artifacts] == [1, 2]


def test_progress_is_shown_to_a_terminal(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    jars.kafka_jars()
    assert "2/2 jars\n" in capsys.readouterr().err


@pytest.mark.parametrize("error", [OSError("no route"), RuntimeError("no such artifact")])
def test_a_repository_that_does_not_answer_is_named_with_what_to_do(repository: Repository, error: Exception) -> None:
    repository.error = error
    with pytest.raises(DependencyError, match=r"Maven repository.*could not be downloaded.*needs the network"):
        jars.kafka_jars()


def test_a_jar_that_does_not_arrive_whole_is_an_error_and_not_a_class_path(repository: Repository) -> None:
    repository.artifacts[0].content = b"<html>proxy</html>"
    with pytest.raises(DependencyError, match="could not be downloaded"):
        jars.kafka_jars()


def test_a_cache_that_another_process_holds_is_not_waited_for_forever(repository: Repository) -> None:
    repository.cache.mkdir()
    with (repository.cache / ".sentiment.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DependencyError, match="could not be downloaded"):
            jars.kafka_jars()
