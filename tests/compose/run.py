"""Today's services: up, scaled up and down, looked at, each container killed, down and up again with the volumes."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import llvmlite.binding as llvm

from model.processor import named_set_of
from tests.compose.container import look_inside, ready_after_s, size_mb, visit_page
from tests.compose.project import PYTHON_IMAGE, ROOT, Project, image_of
from tests.compose.steps import Steps

# The table of its words is in 32 bits, so that its scores are within the oracle's bound; that of `default` is in 16.
CHECKPOINT = "en"
IN_EVERY_IMAGE = {
    "id -u": "10001",
    "touch /opt/x 2>/dev/null || echo refused": "refused",
    "command -v gcc cc make || echo none": "none",
    "ls /opt/sentiment/bin | grep -c '^pip'": "0",
    "python -c 'import torch' 2>/dev/null || echo none": "none",
}


class Run:
    """The scenario's steps, on a project that is not up yet."""

    def __init__(self, project: Project, services: list[str], folder: Path) -> None:
        self._project = project
        self._services = services
        self._takes_kernels = named_set_of(llvm.get_host_cpu_features()) is not None
        self._steps = Steps(project, ROOT / "model" / "checkpoints" / CHECKPOINT, folder)

    def run(self) -> None:
        """Every step, each followed by records that must get their events."""
        steps = self._steps
        self._time_start()
        steps.start(*self._services)
        steps.check("up")
        self._look_at_the_images()
        self._look_at_the_page("the page, with its token and without")
        for workers, step in ((3, "three workers"), (1, "one worker again")):
            steps.start(*self._services, workers=workers)
            steps.check(step)
        for service in ("worker", "redis", "kafka", "page"):
            steps.kill_and_start(service)
            steps.check(f"{service} was killed")
        self._look_at_the_page("the page again, after its kill")
        if "prometheus" in self._services:
            steps.kill_and_start("prometheus")
            self._look_at_prometheus()
        self._project.compose("down", "--timeout", "60")
        self._time_start()
        steps.start(*self._services, workers=2)
        steps.check("down and up again, with the volumes of before")
        steps.stop(2)
        steps.judge()

    def _time_start(self) -> None:
        """Bring everything up with one worker, and say how soon that one is ready, beside what else starts."""
        self._project.up(*self._services)
        kernels = "the image's kernels" if self._takes_kernels else "kernels that it compiles for this processor"
        print(f"a worker is ready {ready_after_s(self._project):.1f} s after its start, with {kernels}", flush=True)

    def _look_at_the_images(self) -> None:
        """The user, the file system that cannot be written, and the tools that are not there."""
        kernels = {"diff -r /opt/sentiment/kernels $NUMBA_CACHE_DIR && echo same": "same"}  # nothing was compiled
        look_inside(self._project, "worker", IN_EVERY_IMAGE | (kernels if self._takes_kernels else {}))
        look_inside(self._project, "page", IN_EVERY_IMAGE)
        for service in ("worker", "page"):
            size, base = size_mb(image_of(service)), size_mb(PYTHON_IMAGE)
            print(f"the image of the {service}: {size:.0f} MB, {size - base:.0f} of them over Python's", flush=True)

    def _look_at_the_page(self, step: str) -> None:
        """It is healthy, keeps strangers out, and shows what the worker makes of new records."""
        self._steps.wait(lambda: self._project.num_healthy("page") == 1, "the page healthy")
        visit_page(self._project, self._steps.send, stream=step)
        self._steps.check(step)

    def _look_at_prometheus(self) -> None:
        """It finds the worker by its name and takes the rules."""
        url = f"http://127.0.0.1:{self._project.ports['prometheus']}/api/v1"

        def ask(path: str) -> list[dict[str, object]]:
            with urllib.request.urlopen(f"{url}/{path}", timeout=10) as answer:
                found = json.load(answer)["data"]
            listed: list[dict[str, object]] = found["result"] if "result" in found else found["groups"]
            return listed

        self._steps.wait(lambda: len(ask("query?query=sentiment_ready==1")) == 1, "Prometheus reads the worker")
        assert len(ask("rules")) == 2
        print("prometheus was killed: ok", flush=True)
