"""Images under the names that docker-compose.yml uses, made of Debian's packages where no registry can be reached.

Kafka's jars are those of the local stack. Grafana is not among Debian's packages, so that it has no image here.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.compose.project import DOCKER, PYTHON_IMAGE, image_of
from worker.stack.jars import kafka_jars

BASE = "sentiment-test-base"
SUITE = "bookworm"
OLD_PYTHON_IMAGE = "python:3.11-slim"  # which version 0.1 is built from
CERTIFICATES, PIP = Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pip.conf")
# The published slim images of Debian leave out docs and locales, too.
LEFT_OUT = ("/var/cache/apt/*", "/var/lib/apt/lists/*", "/usr/share/doc/*", "/usr/share/locale/*")
INSTALL = "RUN apt-get update && apt-get install -y --no-install-recommends"

START_KAFKA = """#!/bin/sh
# Every KAFKA_A_B=c becomes a.b=c, as in the published image.
set -e
env | sed -n 's/^KAFKA_\\([A-Z_]*\\)=/\\1=/p' | grep -v '^HEAP_OPTS=' | while IFS='=' read -r name value; do
    printf '%s=%s\\n' "$(echo "$name" | tr 'A-Z_' 'a-z.')" "$value"
done > /tmp/server.properties
export CLASSPATH='/opt/kafka/libs/*'
java kafka.tools.StorageTool format --ignore-formatted -t "$CLUSTER_ID" -c /tmp/server.properties
exec java $KAFKA_HEAP_OPTS kafka.Kafka /tmp/server.properties
"""


def make_images() -> None:
    """Make those that are not there yet. Raises CalledProcessError when a step fails."""
    makers: dict[str, Callable[[Path], str]] = {
        PYTHON_IMAGE: _python,
        OLD_PYTHON_IMAGE: _python,
        image_of("kafka"): _kafka,
        image_of("redis"): _redis,
        image_of("prometheus"): _prometheus,
    }
    missing = {name: make for name, make in makers.items() if not is_there(name)}
    if missing and not is_there(BASE):
        _make_base()
    for name, make in missing.items():
        with tempfile.TemporaryDirectory(prefix="sentiment-image-") as folder:
            context = Path(folder)
            (context / "Dockerfile").write_text(f"FROM {BASE}\n{make(context)}\n")
            subprocess.run([*DOCKER, "build", "--quiet", "--tag", name, folder], check=True)
        print(f"{name}: made of Debian's packages", flush=True)


def is_there(image: str) -> bool:
    """Whether the engine has the image."""
    return subprocess.run([*DOCKER, "image", "inspect", image], capture_output=True, check=False).returncode == 0


def _make_base() -> None:
    with tempfile.TemporaryDirectory(prefix="sentiment-base-") as folder:
        subprocess.run(["debootstrap", "--variant=minbase", SUITE, folder], stdout=subprocess.DEVNULL, check=True)
        packed = ["tar", "--directory", folder, *(f"--exclude=.{path}" for path in LEFT_OUT), "--create", "."]
        with subprocess.Popen(packed, stdout=subprocess.PIPE) as tar:
            subprocess.run([*DOCKER, "import", "-", BASE], stdin=tar.stdout, stdout=subprocess.DEVNULL, check=True)


def _python(context: Path) -> str:
    """With this machine's certificates and settings of pip, which the build needs as this machine does."""
    lines = [
        f"{INSTALL} ca-certificates python3 python3-pip python3-venv && rm -rf {' '.join(LEFT_OUT)}",
        "RUN ln -s /usr/bin/python3 /usr/local/bin/python",
    ]
    for path in (CERTIFICATES, PIP):
        if path.exists():
            shutil.copy(path, context / path.name)
            lines.append(f"COPY {path.name} {path}")
    return "\n".join(lines)


def _kafka(context: Path) -> str:
    (context / "libs").mkdir()
    for jar in kafka_jars():
        shutil.copy(jar, context / "libs")
    _write_program(context / "start", START_KAFKA)
    return f'{INSTALL} default-jre-headless\nCOPY libs /opt/kafka/libs\nCOPY start /start\nCMD ["/start"]'


def _redis(context: Path) -> str:
    """The published image listens without protected mode, since nobody but its network reaches it."""
    _write_program(context / "start", '#!/bin/sh\nexec "$@" --protected-mode no --dir /data\n')
    return f'{INSTALL} redis-server\nWORKDIR /data\nCOPY start /start\nENTRYPOINT ["/start"]'


def _prometheus(_: Path) -> str:
    options = '"--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"'
    return f'{INSTALL} prometheus wget\nENTRYPOINT ["prometheus"]\nCMD [{options}]'


def _write_program(path: Path, content: str) -> None:
    path.write_text(content)
    path.chmod(0o755)
