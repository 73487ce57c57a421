"""The images install what constraints.txt pins, each file by its hash."""

from __future__ import annotations

import re

import pytest

from tests.unit.docs.pages import ROOT

PINNED = set(re.findall(r"^([\w.-]+==\S+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
FILES = sorted((ROOT / "deploy/requirements").glob("*.txt"))


@pytest.mark.parametrize("name", ["cpu", "gpu", "otel", "page"])
def test_an_image_has_the_versions_of_the_constraints(name: str) -> None:
    text = (ROOT / f"deploy/requirements/{name}.txt").read_text()
    found = set(re.findall(r"^([\w.-]+==\S+)", text, re.MULTILINE))
    assert {"aiokafka", "numba", "redis"} <= {one.partition("==")[0] for one in found}
    assert found <= PINNED


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_package_has_a_hash_and_no_address(file: object) -> None:
    text = file.read_text()  # type: ignore[attr-defined]
    assert "://" not in text
    entries = re.split(r"\n(?=\S)", text.strip())
    assert entries
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_images_install_nothing_without_a_hash() -> None:
    for name, num_installs in (("Dockerfile", 4), ("Dockerfile.gpu", 3)):
        text = (ROOT / "deploy" / name).read_text().replace("\\\n", " ")
        installs = re.findall(r"pip(?: --python \S+)? install ([^&\n]*)", text)
        assert len(installs) == num_installs, name
        assert all("--require-hashes" in line or "--no-deps /wheels/*.whl" in line for line in installs), name
