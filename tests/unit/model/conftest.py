"""A small network with random weights: every tensor affects the result, and the oracle is quick on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from model import InferenceEngine, ModelConfig, ReferenceNetwork
from model.checkpoint import save_checkpoint
from model.text.normalise import SPECIAL_TOKENS

COMMON = "good bad so not n't great movie flight the a i it was late love hate ! . , :) haha"
WORDS = (*SPECIAL_TOKENS, *COMMON.split(" "))
CONFIG = ModelConfig(
    num_words=len(WORDS), num_buckets=7, embedding_size=5, hidden_size=12, summary_size=4, stream_size=6
)


def random_weights(config: ModelConfig, seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    weights = {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in config.tensor_shapes().items()}
    weights["calibration.log_temperature"][:] = 0.5, -0.1
    return weights


def write_checkpoint(folder: Path, config: ModelConfig = CONFIG, seed: int = 1) -> Path:
    words = [*WORDS, *(f"word{number}" for number in range(config.num_words - len(WORDS)))]
    save_checkpoint(folder, name="random", config=config, words=words, weights=random_weights(config, seed))
    return folder


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoints") / "random")


@pytest.fixture(scope="session")
def engine(checkpoint: Path) -> InferenceEngine:
    return InferenceEngine.load(checkpoint)


@pytest.fixture(scope="session")
def reference(checkpoint: Path) -> ReferenceNetwork:
    return ReferenceNetwork.load(checkpoint)


WRITTEN = (
    "GREAT soooo didn't cannot #LoveThisMovie @bob http://t.co/x1 1,000 7/10 :-))) !!!? ... &amp; &lt;3 <br /> "
    "\u00e9t\u00e9 \u2019 n\u2019t \u65e5\u672c\u8a9e \U0001f602 \U0001f44d\U0001f3fd \u2764\ufe0f "
    '\U0001f1eb\U0001f1f7 \u200d \ufdfa \ud800 \x00 \x1c " ( <br />'
)
FRAGMENTS = [*WORDS, *WRITTEN.split(" "), "<br />"]
SPACES = [" ", "", "\n", "\t ", "\u00a0", "\u2003", "\r\n", "\x85"]
TEXTS = st.lists(st.tuples(st.sampled_from(FRAGMENTS), st.sampled_from(SPACES)), max_size=12).map(
    lambda parts: "".join(fragment + space for fragment, space in parts)
)
