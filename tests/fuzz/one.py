"""`python -m tests.fuzz.one TARGET SECONDS FOLDER` runs one target under atheris, which ends the process itself."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

# Not what numba compiles, which the instruments would change.
COMPILED = ["model.text.encoding", "model.inference.kernels"]
with atheris.instrument_imports(include=["worker", "model", "fastavro._read_py"], exclude=COMPILED):
    from tests.fuzz.targets import TARGETS

MAX_BYTES = 4096
INPUT_TIMEOUT_S = 60
MAX_MEMORY_MIB = 4096


def main(name: str, seconds: str, folder: str) -> None:
    """Go on with the corpus in `folder` for so many seconds; an input that fails is kept in it as crash-..."""
    corpus = Path(folder, "corpus")
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(TARGETS[name].seeds):
        Path(corpus, f"seed-{number}").write_bytes(seed)
    limits = [f"-max_total_time={seconds}", f"-max_len={MAX_BYTES}", f"-timeout={INPUT_TIMEOUT_S}"]
    options = [f"-rss_limit_mb={MAX_MEMORY_MIB}", f"-artifact_prefix={folder}/", "-print_final_stats=1", "-verbosity=1"]
    atheris.Setup([sys.argv[0], *limits, *options, str(corpus)], TARGETS[name].run)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
