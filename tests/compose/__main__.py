"""`make compose-test`: today's services, each killed once, then the upgrade from 0.1; nothing is lost or twice."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.compose.container import PAGE_TOKEN
from tests.compose.images import is_there, make_images
from tests.compose.project import Project, image_of
from tests.compose.run import CHECKPOINT, Run
from tests.compose.upgrade import COMMIT, Upgrade, build, version_0_1

SERVICES = ("kafka", "redis", "topics", "worker", "page", "prometheus")
STEPS = ("run", "upgrade")


def main() -> None:
    """Run the scenarios. Raises AssertionError with what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--make-images", action="store_true", help="make missing images of Debian's packages")
    parser.add_argument("--no-build", action="store_true", help="take the worker's and the page's image as they are")
    parser.add_argument("--only", choices=STEPS, help="one of the two scenarios")
    arguments = parser.parse_args()
    if arguments.make_images:
        make_images()
    with tempfile.TemporaryDirectory(prefix="sentiment-compose-") as folder:
        with Project(SENTIMENT_CHECKPOINT=CHECKPOINT, PAGE_TOKEN=PAGE_TOKEN) as project:
            if not arguments.no_build:
                project.compose("build", "worker", "page", timeout_s=1800)
            if arguments.only != "upgrade":
                services = [name for name in SERVICES if name != "prometheus" or is_there(image_of(name))]
                Run(project, services, Path(folder)).run()
        if arguments.only != "run":
            upgrade(Path(folder))


def upgrade(folder: Path) -> None:
    """From 0.1 by SIGTERM and by SIGKILL, where this checkout's history has that version."""
    old = folder / "version-0.1"
    old.mkdir()
    problem = version_0_1(old)
    if problem is not None:
        print(f"LEFT OUT: the upgrade from 0.1, commit {COMMIT}, which is not in this checkout: {problem}", flush=True)
        return
    build(old)
    for killed in (False, True):
        Upgrade(old, folder, killed=killed).run()


if __name__ == "__main__":
    main()
