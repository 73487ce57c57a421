"""One fault test: a workplace, its workers, everything that was sent, and the oracle for it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any

from kafka.errors import KafkaError

from tests import kafka_tools
from tests.system.inputs import STREAMS, Input, Sent, send, tweets
from tests.system.oracle import Expectation, Oracle
from tests.system.verifier import IdField, Report, positions_behind, verify
from tests.system.worker_process import PROGRAM, WorkerProcess
from tests.workplace import Workplace
from worker.settings import ENV_PREFIX

# The timeouts only catch hangs: a busy machine takes many times as long as an idle one.
DONE_TIMEOUT_S = 180.0
FEED_TIMEOUT_S = 120.0
POLL_S = 0.2
CHUNK_RECORDS = 50

# A short session, because tests wait for its end. The other timeouts are long enough for a busy machine, because a
# worker that exceeds one ends by design. The moods of random texts sometimes exceed so low a threshold.
QUICK = {
    "session_timeout_s": 10,
    "heartbeat_interval_s": 1.5,
    "rebalance_timeout_s": 40,
    "transaction_timeout_s": 40,
    "commit_timeout_s": 30,
    "revoke_timeout_s": 30,
    "request_timeout_s": 8,
    "flush_interval_s": 0.2,
    "shift_threshold": 2.5,
}


class Scene:
    """Keeps everything that is sent, for `report`, and every worker, for `close`.

    program: the arguments of Python for its workers. supervised: restart failed workers while waiting for something.
    """

    supervised = False

    def __init__(self, workplace: Workplace, checkpoint: Path, folder: Path, program: Sequence[str] = PROGRAM) -> None:
        self.workplace = workplace
        self.program = program
        self.checkpoint = checkpoint
        self.oracle = Oracle(workplace.settings, checkpoint)
        self.sent: list[Sent] = []
        self.workers: list[WorkerProcess] = []
        self.folder = folder

    def send(self, inputs: Iterable[Input], topic: str | None = None) -> list[Sent]:
        """Produce the inputs to `topic`, by default the first input topic."""
        settings = self.workplace.settings
        sent = send(settings.kafka, topic or self.workplace.topic, settings.partitions, inputs)
        self.sent += sent
        return sent

    @contextmanager
    def feeding(self, rate: float = 200, seed: int = 1000, streams: Sequence[str] = STREAMS) -> Iterator[None]:
        """Send tweets in the background, `rate` per second. Kafka must be up."""
        stop = Event()

        def feed() -> None:
            for number in count():
                self.send(tweets(CHUNK_RECORDS, seed + number, streams))
                if stop.wait(CHUNK_RECORDS / rate):
                    return

        with ThreadPoolExecutor(1) as pool:
            fed = pool.submit(feed)
            try:
                yield
            finally:
                stop.set()
            fed.result(FEED_TIMEOUT_S)

    def worker(self, *more: str, program: Sequence[str] | None = None, **flags: Any) -> WorkerProcess:
        """A worker that is not started yet; `more` are arguments of its command, `flags` are its settings."""
        environment = self.workplace.environment() | {ENV_PREFIX + "CHECKPOINT": str(self.checkpoint)}
        environment |= {ENV_PREFIX + name.upper(): str(value) for name, value in flags.items()}
        name = f"worker-{len(self.workers)}"
        self.workers.append(WorkerProcess(name, self.folder, environment, (*(program or self.program), *more)))
        return self.workers[-1]

    def start_worker(self, **flags: Any) -> WorkerProcess:
        """Start a worker, and wait until it is ready."""
        worker = self.worker(**flags)
        worker.start()
        return worker

    def launch_worker(self, *more: str, program: Sequence[str] | None = None, **flags: Any) -> WorkerProcess:
        """Start a worker, without waiting for it."""
        worker = self.worker(*more, program=program, **flags)
        worker.launch()
        return worker

    def wait_until_done(self, timeout_s: float = DONE_TIMEOUT_S) -> None:
        """Wait until the group has committed everything sent. Raises AssertionError with the ends of the logs."""
        settings = self.workplace.settings
        ends: dict[tuple[str, int], int] = {}
        for record in self.sent:
            place = record.topic, record.partition
            ends[place] = max(ends.get(place, 0), record.offset + 1)

        def left() -> object:
            offsets = kafka_tools.committed(settings.kafka, settings.group)
            return {place: (offsets.get(place), end) for place, end in ends.items() if offsets.get(place, 0) < end}

        self.wait_while(left, timeout_s)

    def wait_until_flushed(self, timeout_s: float = DONE_TIMEOUT_S) -> None:
        """Wait until everything sent is committed, and the states up to the commits are in Redis."""
        self.wait_until_done(timeout_s)
        self.wait_while(lambda: positions_behind(self.workplace, self.oracle), timeout_s)

    def wait_until(self, condition: Callable[[], bool], timeout_s: float = DONE_TIMEOUT_S) -> None:
        """Wait until `condition` holds. Raises AssertionError with the ends of the logs when it does not in time."""
        self.wait_while(lambda: not condition(), timeout_s)

    def wait_while(self, find: Callable[[], object], timeout_s: float = DONE_TIMEOUT_S) -> None:
        """Wait until `find` returns nothing. Raises AssertionError with what it found and the ends of the logs."""
        deadline = time.monotonic() + timeout_s

        def find_patiently() -> object:
            try:
                return find()
            except KafkaError as error:  # a restarted broker may not answer yet: retry until the timeout
                return repr(error)

        while found := find_patiently():
            self.supervise()
            assert time.monotonic() < deadline, f"after {timeout_s:g} s still {found}\n{self.tails()}"
            time.sleep(POLL_S)

    def supervise(self) -> None:
        """Restart the workers that failed, if `supervised`."""
        for worker in self.workers if self.supervised else ():
            if not worker.running and worker.exit_code not in {0, -signal.SIGKILL}:
                worker.launch()

    def finish(self, timeout_s: float = DONE_TIMEOUT_S) -> Report:
        """Wait until everything is committed and flushed, let the running workers drain, and verify."""
        if self.supervised:
            self.wait_until(lambda: all(worker.answers() for worker in self.workers), timeout_s)
        self.wait_until_flushed(timeout_s)
        self.drain()
        return self.report()

    def drain(self) -> None:
        """Send SIGTERM to every running worker; all must exit with 0."""
        running = [worker for worker in self.workers if worker.running]
        codes = {worker.name: worker.terminate() for worker in running}
        assert not any(codes.values()), f"{codes}\n{self.tails()}"

    def report(
        self, expectation: Expectation | None = None, *, states: bool = True, id_field: IdField = "id"
    ) -> Report:
        """Verify the current output, by default against the expectation for everything sent."""
        expectation = expectation or self.oracle.expect(self.sent)
        return verify(self.workplace, self.oracle, expectation, states=states, id_field=id_field)

    def events(self) -> list[dict[str, Any]]:
        """The committed events."""
        settings = self.workplace.settings
        return [json.loads(one.value) for one in kafka_tools.read_to_end(settings.kafka, settings.events_topic)]

    def tails(self) -> str:
        """The readiness of every worker, and the end of its log."""
        return "\n".join(f"{worker.name}: {worker.readiness()}\n{worker.tail()}" for worker in self.workers)

    def close(self) -> None:
        """Kill the workers that still run."""
        for worker in self.workers:
            worker.kill()
