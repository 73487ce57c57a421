"""Training on phrases made here: it learns, it goes on after a kill, and it keeps apart what it must not see."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.checkpoint import load_checkpoint
from model.config import ModelConfig, TrainConfig
from model.data.corpora import FILES, Example
from model.data.splits import split_corpora
from model.errors import CheckpointError, ConfigError, DataError
from model.evaluation.evaluate import evaluate_checkpoint
from model.text.tokenizer import Tokenizer
from model.training import all_films, fit, stream_cell
from model.training.all_films import train_on_all_films
from model.training.batches import EncodedTexts, encode_labelled
from model.training.distillation import soft_targets
from model.training.distillation.augmentation import sentences, variants
from model.training.distillation.encoder import Encoder, EncoderSizes
from model.training.run_folder import RunFolder
from model.training.train import train_checkpoint
from model.training_loop import Schedule, TrainingLoop

SIZES = ModelConfig(num_words=80, num_buckets=8, embedding_size=16, hidden_size=16, summary_size=4, stream_size=4)
CONFIG = TrainConfig(
    epochs=5,
    batch_tokens=400,
    batch_texts=32,
    learning_rate=1e-2,
    warmup_steps=5,
    language_epochs=2,
    language_rows=8,
    language_tokens=20,
    language_sampled=16,
    phrase_variants=2,
    tweet_variants=1,
    stream_epochs=3,
    held_topics=0.4,
)
WORDS = {
    "negative": ("awful", "boring", "sad", "bad"),
    "neutral": ("today", "ticket", "line", "seven"),
    "positive": ("great", "lovely", "fun", "good"),
}


def _phrase(label: str, rng: random.Random) -> str:
    filler = rng.choices(("the", "film", "was", "a", "so", "and"), k=rng.randint(2, 8))
    return " ".join(
        [*filler, rng.choice(WORDS[label]), *rng.choices(("it", "is", "very"), k=2), rng.choice(WORDS[label])]
    )


def _rows(num: int, labels: tuple[str, ...], rng: random.Random, prefix: str, num_streams: int) -> list[dict[str, str]]:
    rows = []
    for i in range(num):
        label = rng.choice(labels)
        row = {"id": f"{prefix}{i}", "text": _phrase(label, rng), "label": label, "split": ("train", "dev")[i % 2]}
        rows.append(row | ({"stream": f"{prefix} stream {i % num_streams}"} if num_streams else {}))
    return rows


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in the layout of the real one."""
    folder, rng = tmp_path_factory.mktemp("data"), random.Random(0)
    two, three = ("negative", "positive"), ("negative", "neutral", "positive")
    corpora = {
        "imdb": _rows(300, two, rng, "review", 60),
        "imdb_unlabelled": [
            {"id": row["id"], "text": row["text"], "stream": row["stream"]} for row in _rows(60, two, rng, "more", 10)
        ],
        "sst2": _rows(120, two, rng, "sentence", 0),
        "sst2_dev": _rows(40, two, rng, "dev sentence", 0),
        "semeval": _rows(240, three, rng, "tweet", 0),
        "semeval_dev": _rows(60, three, rng, "dev tweet", 0),
        "topics_2point": _rows(120, two, rng, "topic", 20),
        "topics_5point": _rows(60, three, rng, "topic", 10),
        "airlines": _rows(100, three, rng, "flight", 3),
    }
    for name, rows in corpora.items():
        (folder / FILES[name]).parent.mkdir(exist_ok=True)
        (folder / FILES[name]).write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    return folder


def _tiny_encoder() -> tuple[Encoder, Any]:
    """In place of the pretrained one: random weights, and a piece for each word of the phrases."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *chain(*WORDS.values())]
    pieces = tokenizers.Tokenizer(tokenizers.models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    pieces.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    torch.manual_seed(0)
    sizes = EncoderSizes(num_pieces=len(words), num_positions=64, size=16, inner_size=16, num_layers=1, num_heads=2)
    return Encoder(sizes), pieces


def _train(data: Path, run: Path, config: TrainConfig = CONFIG) -> Path:
    return train_checkpoint(config, data, run, sizes=SIZES, show_progress=False, load_encoder=_tiny_encoder)


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with its checkpoint."""
    run = tmp_path_factory.mktemp("runs") / "finished"
    _train(data, run)
    return run


def test_a_trained_checkpoint_reads_texts_that_it_never_saw(data: Path, finished: Path) -> None:
    checkpoint = finished / "checkpoint"
    evaluation = evaluate_checkpoint(checkpoint, data)
    assert evaluation.row("imdb").accuracy > 0.9
    assert evaluation.row("semeval_dev").macro_recall > 0.9
    loaded = load_checkpoint(checkpoint)
    assert loaded.metrics == json.loads(json.dumps(evaluation.to_dict()))
    assert loaded.fingerprint in (checkpoint / "README.md").read_text()
    lines = [json.loads(line) for line in (finished / "log.jsonl").read_text().splitlines()]
    teachers = ["teachers of semeval", "teachers of imdb"]
    stream = ["stream"] * stream_cell.NUM_CELLS * CONFIG.stream_epochs
    assert [line["stage"] for line in lines] == ["language", *teachers, "text", *stream, "temperature"]


def test_a_finished_network_goes_on_with_all_films_and_tells_what_it_scored_on_those_held_out(
    data: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    fit_text = all_films.fit_text_network

    def noted(run: fit.TrainingRun, corpora: Sequence[EncodedTexts], held: dict[str, EncodedTexts]) -> None:
        read.extend(len(texts) for texts in corpora)
        before.update(run.network.tensors())
        fit_text(run, corpora, held)

    before: dict[str, Any] = {}
    monkeypatch.setattr(all_films, "fit_text_network", noted)
    checkpoint = train_on_all_films(finished, data, tmp_path / "all", show_progress=False)
    metrics = json.loads((finished / "checkpoint" / "metrics.json").read_bytes())
    (num_dev,) = (row["num_texts"] for row in metrics["rows"] if (row["corpus"], row["mode"]) == ("imdb", "reset"))
    *_, num_reviews, num_dev_read = read
    assert (num_reviews, num_dev_read) == (300 - num_dev, num_dev)
    there = load_checkpoint(finished / "checkpoint").weights["word.embedding.weight"]
    np.testing.assert_array_equal(before["word.embedding.weight"], there)
    assert not np.array_equal(load_checkpoint(checkpoint).weights["word.embedding.weight"], there)

    evaluation = evaluate_checkpoint(checkpoint, data)
    assert not [row for row in evaluation.rows if row.corpus == "imdb"]
    assert evaluation.dev_share == 0
    assert evaluation.rehearsal
    assert json.loads(json.dumps(evaluation.rehearsal.to_dict())) == metrics
    card = (checkpoint / "README.md").read_text()
    assert "learnt from all films" in card
    assert metrics["fingerprint"] in card


@pytest.mark.parametrize(("config", "error"), [(None, ConfigError), ("[]", ConfigError), ("run", CheckpointError)])
def test_only_a_finished_run_goes_on_with_all_films(
    config: str | None, error: type[Exception], data: Path, tmp_path: Path
) -> None:
    if config == "run":
        RunFolder(tmp_path, SIZES, CONFIG)
    elif config is not None:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(error, match=r"holds no run|can go on from|no such checkpoint"):
        train_on_all_films(tmp_path, data, tmp_path / "all", show_progress=False)
    assert not (tmp_path / "all").exists()


@pytest.mark.parametrize("kind", ["value", "norm", "global-norm"])
def test_clipping_is_a_hyperparameter_of_both_trainings(kind: str, data: Path, tmp_path: Path) -> None:
    """Gradients cut down to almost nothing, far below Adam's epsilon, leave every weight as it began."""
    steps = {"epochs": 1, "language_epochs": 1, "stream_epochs": 0}
    unclipped = replace(CONFIG, **steps, learning_rate=1e-30, language_learning_rate=1e-30)
    _train(data, tmp_path / "still", unclipped)
    _train(data, tmp_path / "clipped", replace(CONFIG, **steps, clip=kind, clip_at=1e-15))
    still, clipped = (load_checkpoint(tmp_path / name / "checkpoint").weights for name in ("still", "clipped"))
    for name, weights in still.items():
        np.testing.assert_allclose(clipped[name], weights, atol=1e-3, err_msg=name)


def test_a_killed_run_ends_with_the_weights_of_one_that_never_stopped(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "SAVE_EVERY", 4)
    whole = _train(data, tmp_path / "whole")

    save_step = RunFolder.save_step

    def killed(self: RunFolder, stage: str, loop: TrainingLoop) -> None:
        save_step(self, stage, loop)
        if (stage, loop.num_done) == ("text", 8):
            raise KeyboardInterrupt

    with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
        context.setattr(RunFolder, "save_step", killed)
        _train(data, tmp_path / "killed")
    steps = _count_steps(monkeypatch)
    with monkeypatch.context() as context:
        context.setattr(soft_targets, "_logits_of", None)  # the teachers' logits are saved already
        resumed = _train(data, tmp_path / "killed")
    assert min(steps) == 8
    assert (resumed / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()


def _count_steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the steps taken from now on."""
    steps: list[int] = []
    make_schedule = fit.warm_up_then_decay

    def counted(num_warmup: float, num_steps: int) -> Schedule:
        schedule = make_schedule(num_warmup, num_steps)

        def factor(step: int) -> float:
            steps.append(step)
            return schedule(step)

        return factor

    monkeypatch.setattr(fit, "warm_up_then_decay", counted)
    return steps


def test_a_run_folder_is_not_continued_with_other_settings(data: Path, tmp_path: Path) -> None:
    RunFolder(tmp_path / "run", SIZES, CONFIG)
    with pytest.raises(ConfigError, match="epochs is 5 there and 7 here; seed is 1 there and 2 here"):
        _train(data, tmp_path / "run", replace(CONFIG, epochs=7, seed=2))


def test_a_run_folder_is_not_continued_with_other_words(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run", SIZES, CONFIG)
    folder.check_words(["a", "b"])
    folder.check_words(["a", "b"])
    with pytest.raises(ConfigError, match="began with other texts"):
        folder.check_words(["a", "c"])


def test_a_folder_of_something_else_is_not_taken_for_a_run(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ConfigError, match="is not the file of a run"):
        RunFolder(tmp_path, SIZES, CONFIG)


def test_missing_data_is_named_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=FILES["semeval"]):
        _train(tmp_path, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_is_held_out_is_in_no_other_part() -> None:
    films = [Example(f"{i}", f"text {i}", 2 * (i % 2), f"film {i % 100}") for i in range(1000)]
    unlabelled = [Example(f"u{i}", f"unlabelled {i}", None, f"film {i % 100}") for i in range(500)]
    tweets = [Example(f"t{i}", f"tweet {i}", i % 3) for i in range(400)]
    topics = [
        Example(f"t{i}", f"Tweet {i}! https://t.co/{i}", 2 * (i % 2), f"topic {i % 20}", "dev" if i < 20 else "train")
        for i in range(200)
    ]
    corpora = {
        "imdb": films,
        "imdb_unlabelled": unlabelled,
        "semeval": tweets,
        "sst2": [Example(f"s{i}", f"sentence {i}", 2 * (i % 2)) for i in range(100)],
        "airlines": [Example(f"a{i}", f"flight {i}", i % 3) for i in range(100)],
        "topics_2point": topics,
        "topics_5point": [],
    }

    splits = split_corpora(corpora, CONFIG)

    def streams(examples: list[Example]) -> set[str | None]:
        return {example.stream for example in examples}

    def ids(examples: list[Example]) -> set[str]:
        return {example.id for example in examples}

    assert not streams(splits.labelled["imdb"]) & streams(splits.held["imdb"])
    dev = streams(films) - streams(splits.labelled["imdb"]) - streams(splits.held["imdb"])
    assert len(dev) > 5
    assert not {e.text for e in films + unlabelled if e.stream in dev} & set(chain(*splits.all_texts.values()))
    for name in ("sst2", "semeval"):
        assert splits.held[name]
        assert not ids(splits.labelled[name]) & ids(splits.held[name])
    # a tweet of a topic is known by its words alone, however it is written there
    dev_topics = {f"t{i}" for i in range(20)}
    assert not dev_topics & ids(splits.topics)
    assert 0 < len(streams(splits.topics)) < len(streams(topics))
    assert ids(splits.topics) <= ids(splits.held["semeval"])
    assert dev_topics <= ids(splits.held["semeval"])
    assert ids(topics) & ids(splits.labelled["semeval"])
    assert ids(splits.labelled["airlines"]) == {f"a{i}" for i in range(70)}


def test_sentences_are_cut_at_their_ends_and_listed_once() -> None:
    reviews = ["A fine film. I was moved! So (he said) was I.<br />No.", "A fine film.  Is it a film?\nYes it is"]
    found = sentences(reviews, max_sentences=10, seed=1)
    assert sorted(found) == ["A fine film.", "I was moved!", "Is it a film?", "So (he said) was I.", "Yes it is"]
    assert len(sentences(reviews, max_sentences=2, seed=1)) == 2


@given(st.lists(st.sampled_from(["good", "bad", "film", "the", "."]), min_size=1, max_size=12), st.integers(0, 9))
def test_a_variant_has_words_of_its_text_in_their_order(words: list[str], seed: int) -> None:
    for variant in variants([" ".join(words)], 3, seed):
        left = iter(words)
        assert variant
        assert all(word in left for word in variant.split())


def test_without_torch_training_says_what_to_install() -> None:
    code = """if True:
        import sys
        sys.modules["torch"] = None
        from model import evaluate_checkpoint, train_checkpoint
    """
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert "pip install '.[train]'" in ended.stderr.splitlines()[-1]


def test_a_corpus_without_a_word_in_it_is_named() -> None:
    examples = [Example("a", " ", 0), Example("b", "\u200b", 2)]
    with pytest.raises(DataError, match="sst2: there is no text with a word in it"):
        encode_labelled("sst2", examples, Tokenizer(["good"], num_buckets=1), max_tokens=10)
