"""Accuracy on the dev sets of a data folder, texts a second on one core, and dollars a million texts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.frontier.contestants import PEERS, SEED, Read
from benchmarks.frontier.onnx_network import onnx_network
from model.checkpoint import find_checkpoint, load_checkpoint
from model.config import TrainConfig
from model.data.corpora import FILES, Example, classes_of, read_corpora, split_by_time
from model.data.splits import split_corpora
from model.evaluation.evaluate import CARRIED, RESET, confusion_matrix, evaluate_examples, read_probabilities
from model.inference.devices import Precision
from model.inference.engine import InferenceEngine

BATCH = 256
ENOUGH_S = 10.0  # of processor time for a speed
SPEED_SET = "semeval_dev"
MISSING = "not installed: pip install '.[frontier]'"
NO_VECTORS = "not measured: no package has its vectors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A contestant's figures, or why it has none."""

    name: str
    carries: bool = False  # whether what it read of a stream affects the stream's next text
    accuracy: Mapping[str, float] = field(default_factory=dict)
    texts_per_s: float | None = None
    note: str = ""

    def dollars_a_million(self, dollars_an_hour: float) -> float | None:
        """Dollars of a core that reads a million texts."""
        return dollars_an_hour / 3600 * 1e6 / self.texts_per_s if self.texts_per_s else None

    def to_dict(self, dollars_an_hour: float) -> dict[str, Any]:
        """As plain data, for JSON."""
        return asdict(self) | {"dollars_a_million": self.dollars_a_million(dollars_an_hour)}


def measure_frontier(
    data_dir: Path,
    *,
    max_learnt: int | None = None,
    max_measured: int | None = None,
    on_progress: Callable[[str], None] = lambda line: None,
) -> list[Row]:
    """One row for each contestant. max_learnt: texts to learn from, max_measured: texts of each dev set (None: all).

    Raises DataError if a corpus is missing or cannot be read.
    """
    train, dev = read_sets(data_dir)
    train = [train[index] for index in np.random.default_rng(SEED).permutation(len(train))[:max_learnt]]
    dev = {name: _first_streams(examples, max_measured or len(examples)) for name, examples in dev.items()}
    rows = []
    default, small = (load_checkpoint(find_checkpoint(Path(name))) for name in ("default", "small"))
    peers = {peer.name: partial(peer.prepare, train) for peer in PEERS}
    peers["ONNX Runtime float32, our default network"] = partial(onnx_network, default)
    with threadpool_limits(1):
        for name, prepare in peers.items():
            on_progress(name)
            rows.append(_row_of_peer(name, prepare, dev))
        rows.append(Row(name="model2vec, logistic regression", note=NO_VECTORS))
        ours: tuple[tuple[str, Any, Precision], ...] = (
            ("ours, default, float32", default, "float32"),
            ("ours, default, int8", default, "int8"),
            ("ours, small, float32", small, "float32"),
        )
        for name, checkpoint, precision in ours:
            on_progress(name)
            rows.append(_row_of_engine(name, InferenceEngine(checkpoint, precision=precision), dev))
    return rows


def read_sets(data_dir: Path) -> tuple[list[Example], dict[str, list[Example]]]:
    """What to learn from, which is what our network learnt from, and the dev sets. No film is among the latter."""
    corpora = read_corpora(data_dir, FILES)
    splits = split_corpora(dict(corpora), TrainConfig())
    train = [*chain.from_iterable(splits.labelled.values()), *chain.from_iterable(splits.held.values())]
    _, late = split_by_time(corpora["airlines"])
    dev = {"sst2_dev": corpora["sst2_dev"], "semeval_dev": corpora["semeval_dev"], "airlines": late}
    dev["topics_2point"] = [example for example in corpora["topics_2point"] if example.split == "dev"]
    return train, dev


def _first_streams(examples: Sequence[Example], max_texts: int) -> list[Example]:
    """Some `max_texts` examples: at random where there are no streams, else those of the first streams."""
    if any(example.stream for example in examples):
        return list(examples[:max_texts])
    return [examples[index] for index in np.random.default_rng(SEED).permutation(len(examples))[:max_texts]]


def _row_of_peer(name: str, prepare: Callable[[], Read], dev: Mapping[str, Sequence[Example]]) -> Row:
    try:
        read = prepare()
    except ModuleNotFoundError as error:
        return Row(name=name, note=f"{MISSING} ({error})")
    accuracy = {}
    for corpus, examples in dev.items():
        scores = read([example.text for example in examples])
        labels = np.array([example.label for example in examples])
        confusion = confusion_matrix(labels, scores, classes_of(examples, corpus))
        accuracy[corpus] = float(confusion.trace() / confusion.sum())
    return Row(name=name, accuracy=accuracy, texts_per_s=_texts_per_s(read, dev[SPEED_SET]))


def _row_of_engine(name: str, engine: InferenceEngine, dev: Mapping[str, Sequence[Example]]) -> Row:
    accuracy = {}
    for corpus, examples in dev.items():
        mode = CARRIED if any(example.stream for example in examples) else RESET
        accuracy[corpus] = evaluate_examples(engine, corpus, examples, mode).accuracy

    def read(texts: Sequence[str]) -> Any:
        return read_probabilities(engine, [Example(str(number), text) for number, text in enumerate(texts)], RESET)

    return Row(name=name, carries=True, accuracy=accuracy, texts_per_s=_texts_per_s(read, dev[SPEED_SET]))


def _texts_per_s(read: Read, examples: Sequence[Example]) -> float:
    """Texts per second of processor time, in batches: the best of three passes, or of fewer that take ENOUGH_S."""
    texts = [example.text for example in examples]
    seconds: list[float] = []
    while len(seconds) < 3 and sum(seconds) < ENOUGH_S:
        started = time.process_time()
        for begin in range(0, len(texts), BATCH):
            read(texts[begin : begin + BATCH])
        seconds.append(time.process_time() - started)
    return len(texts) / min(seconds)
