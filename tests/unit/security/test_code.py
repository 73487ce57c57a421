"""The code does nothing that hands the process to whoever wrote the data: no pickle, no eval, no shell."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.docs.pages import ROOT

FILES = sorted(path for room in ("worker", "model") for path in (ROOT / room).rglob("*.py"))
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "xml", "yaml", "pty"}
FORBIDDEN_CALLS = {
    *("eval", "exec", "compile", "__import__"),
    *(
        "os.system",
        "os.popen",
        "tempfile.mktemp",
        "torch.load",
        "numpy.load",
        "np.load",
        "ssl._create_unverified_context",
    ),
}
# A redis URL may say so itself; docs/security.md names it.
UNVERIFIED = re.compile(r"CERT_NONE|verify=False|check_hostname = False|ssl_cert_reqs=None")
# They look whether a port speaks TLS at all, once a connection has failed, and send no login.
PROBES = {"worker/kafka/access/probe.py", "worker/state/causes.py"}


def names_of_calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def problems_in(source: str) -> list[str]:
    """What the source has of the forbidden."""
    tree = ast.parse(source)
    found = [name for name, _ in names_of_calls(tree) if name in FORBIDDEN_CALLS]
    for name, call in names_of_calls(tree):
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        found += [f"{name} with {arg}" for arg in ("shell", "allow_pickle") if given.get(arg, "False") != "False"]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and [one.name for one in node.names] == ["ParseError"]:
            continue
        if isinstance(node, ast.Import):
            found += [one.name for one in node.names if one.name.partition(".")[0] in FORBIDDEN_MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in FORBIDDEN_MODULES:
            found.append(str(node.module))
    return found + UNVERIFIED.findall(source)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_a_module_has_no_pickle_no_eval_no_shell_and_verifies_certificates(file: Path) -> None:
    allowed = ["CERT_NONE"] if file.relative_to(ROOT).as_posix() in PROBES else []
    assert problems_in(file.read_text(encoding="utf-8")) == allowed


@pytest.mark.parametrize(
    "source",
    [
        *("import pickle", "from pickle import loads", "import xml.dom", "eval(x)", "os.system(x)", "np.load(x)"),
        *("subprocess.run(x, shell=True)", "np.save(x, allow_pickle=True)", "context.verify_mode = ssl.CERT_NONE"),
    ],
)
def test_the_search_finds_each_kind(source: str) -> None:
    assert problems_in(source)


def test_weights_are_safetensors_alone() -> None:
    kinds = {path.suffix for path in (ROOT / "model/checkpoints").rglob("*") if path.is_file()}
    assert kinds <= {".safetensors", ".json", ".txt", ".md"}
