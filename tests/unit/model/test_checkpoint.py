"""Tests of checkpoints: one is loaded as it was saved, or refused with the reason."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from model import CheckpointError, InferenceEngine, ReferenceNetwork, Request
from model.checkpoint import EMBEDDING, PACKAGED, find_checkpoint, load_checkpoint, save_checkpoint
from tests.unit.model.conftest import CONFIG, WORDS, random_weights, write_checkpoint


def test_a_checkpoint_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    weights = random_weights(CONFIG)
    save_checkpoint(
        tmp_path / "a", name="a", config=CONFIG, words=WORDS, weights=weights, metrics={"accuracy": 0.5}, card="# A"
    )
    loaded = load_checkpoint(tmp_path / "a")
    assert (loaded.name, loaded.config, loaded.words, loaded.metrics) == ("a", CONFIG, WORDS, {"accuracy": 0.5})
    assert all(np.array_equal(loaded.weights[name], weights[name]) for name in weights)
    assert (tmp_path / "a" / "README.md").read_text() == "# A"
    assert [path.name for path in tmp_path.iterdir()] == ["a"], "nothing is left beside it"


def test_weights_are_float16_on_disk_and_all_but_the_embedding_float32_in_memory(tmp_path: Path) -> None:
    weights = random_weights(CONFIG)
    save_checkpoint(tmp_path / "a", name="a", config=CONFIG, words=WORDS, weights=weights, half=True)
    loaded = load_checkpoint(tmp_path / "a")
    for name, tensor in weights.items():
        assert loaded.weights[name].dtype == (np.float16 if name == EMBEDDING else np.float32)
        np.testing.assert_array_equal(loaded.weights[name], tensor.astype(np.float16))


def test_the_fingerprint_changes_with_the_weights_but_not_with_name_metrics_or_card(tmp_path: Path) -> None:
    first = load_checkpoint(write_checkpoint(tmp_path / "a")).fingerprint
    assert len(bytes.fromhex(first)) == 8
    assert load_checkpoint(write_checkpoint(tmp_path / "b")).fingerprint == first
    assert load_checkpoint(write_checkpoint(tmp_path / "c", seed=2)).fingerprint != first
    save_checkpoint(
        tmp_path / "d", name="d", config=CONFIG, words=WORDS, weights=random_weights(CONFIG), metrics={"a": 1}
    )
    assert load_checkpoint(tmp_path / "d").fingerprint == first


def test_a_network_reads_with_the_normalisation_that_it_learnt_with(tmp_path: Path) -> None:
    saved = {}
    for normalisation in (1, 2):
        folder, weights = tmp_path / str(normalisation), random_weights(CONFIG)
        save_checkpoint(folder, name="a", config=CONFIG, words=WORDS, weights=weights, normalisation=normalisation)
        saved[normalisation] = load_checkpoint(folder)
    assert [loaded.normalisation for loaded in saved.values()] == [1, 2]
    assert saved[1].fingerprint == load_checkpoint(write_checkpoint(tmp_path / "old")).fingerprint
    assert saved[1].fingerprint != saved[2].fingerprint
    assert "normalisation" not in json.loads((tmp_path / "1" / "config.json").read_text()), "as before there were two"
    text = "#goodmovie \U0001f602 lovvvve"
    first, second = (InferenceEngine(loaded).score([Request(0, text)])[0] for loaded in saved.values())
    assert (first.num_tokens, second.num_tokens) == (5, 6)
    for loaded, result in zip(saved.values(), (first, second), strict=True):
        [expected] = ReferenceNetwork(loaded).read([(text, True)])
        assert result.probabilities == pytest.approx(expected.probabilities, abs=1e-5)


def test_tokenizer_and_normalisation_are_kept_apart_from_each_other(tmp_path: Path) -> None:
    words, weights = [*WORDS[:-1], "##s"], random_weights(CONFIG)
    fingerprints = set()
    for number, (tokenizer, normalisation) in enumerate(product((1, 2), (1, 2))):
        folder = tmp_path / str(number)
        save_checkpoint(
            folder,
            name="a",
            config=CONFIG,
            words=words,
            weights=weights,
            tokenizer=tokenizer,
            normalisation=normalisation,
        )
        loaded = load_checkpoint(folder)
        assert (loaded.tokenizer, loaded.normalisation) == (tokenizer, normalisation)
        fingerprints.add(loaded.fingerprint)
        text = f"{WORDS[0]}s #goodmovie \U0001f602 lovvvve"
        [result], [expected] = (
            InferenceEngine(loaded).score([Request(0, text)]),
            ReferenceNetwork(loaded).read([(text, True)]),
        )
        assert result.probabilities == pytest.approx(expected.probabilities, abs=1e-5)
    assert len(fingerprints) == 4


def test_saving_again_replaces_the_folder_whole(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "a")
    (folder / "stale").write_text("")
    write_checkpoint(folder, seed=2)
    assert not (folder / "stale").exists()
    load_checkpoint(folder)


def test_a_packaged_checkpoint_is_found_by_its_name_unless_a_directory_has_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_checkpoint(None) == find_checkpoint(Path("default")) == PACKAGED / "default"
    assert InferenceEngine.load("small").fingerprint == load_checkpoint(PACKAGED / "small").fingerprint
    write_checkpoint(tmp_path / "small")
    assert load_checkpoint("small").fingerprint == load_checkpoint(tmp_path / "small").fingerprint


@pytest.mark.parametrize("name", ["default", "en", "small"])
def test_a_packaged_checkpoint_is_half_precision_with_a_card_and_takes_40_megabytes_at_most(name: str) -> None:
    folder = find_checkpoint(Path(name))
    loaded = load_checkpoint(folder)
    num_bytes = (folder / "weights.safetensors").stat().st_size
    assert num_bytes < min(40e6, 2.01 * sum(map(np.size, loaded.weights.values())))
    assert (loaded.name, loaded.metrics["fingerprint"]) == (folder.name, loaded.fingerprint)
    assert loaded.fingerprint in (folder / "README.md").read_text()


def _edit_config(**changes: object) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        description = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(description | changes))

    return edit


def _cut_short(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-10])


def _replace_as_if_right(name: str, content: bytes) -> Callable[[Path], None]:
    def replace_file(folder: Path) -> None:
        (folder / name).write_bytes(content)
        description = json.loads((folder / "config.json").read_text())
        description["sha256"][name] = hashlib.sha256(content).hexdigest()
        (folder / "config.json").write_text(json.dumps(description))

    return replace_file


def _flip_a_bit(folder: Path) -> None:
    data = bytearray((folder / "weights.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "weights.safetensors").write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: (folder / "weights.safetensors").unlink(), "weights.safetensors: No such file"),
        (lambda folder: (folder / "config.json").unlink(), "config.json: No such file"),
        (lambda folder: (folder / "metrics.json").write_text("[]"), "metrics.json: is not a JSON object"),
        (_cut_short("weights.safetensors"), "weights.safetensors: its SHA-256 .* truncated or altered"),
        (_cut_short("vocabulary.txt"), "vocabulary.txt: its SHA-256 .* truncated or altered"),
        (_cut_short("config.json"), "config.json: "),
        (_flip_a_bit, "weights.safetensors: its SHA-256"),
        (_replace_as_if_right("weights.safetensors", b"no tensors"), "header"),
        (_replace_as_if_right("vocabulary.txt", b"\xff"), "codec can't decode"),
        (_edit_config(format=4), "config.json: format 4, this version reads formats 1 to 3"),
        (_edit_config(tokenizer=9), "config.json: made for tokenizer 9"),
        (_edit_config(normalisation=9), "config.json: made for normalisation 9"),
        (_edit_config(model=None), "config.json: has no sizes"),
        (_edit_config(model={}), "config.json: embedding_size is missing"),
        (_edit_config(model=CONFIG.to_dict() | {"layers": 2}), "config.json: layers is unknown"),
        (_edit_config(model=CONFIG.to_dict() | {"hidden_size": 0}), "config.json: hidden_size must be"),
        (_edit_config(model=CONFIG.to_dict() | {"stream_bound": 0}), "config.json: stream_bound must be"),
        (_edit_config(model=CONFIG.to_dict() | {"hidden_size": 13}), r"word.lstm.bias has shape \(48,\)"),
        (_edit_config(model=CONFIG.to_dict() | {"num_words": 3}), "vocabulary.txt: has .* words, the sizes say 3"),
        (_edit_config(sha256=None), "weights.safetensors: its SHA-256"),
    ],
)
def test_a_damaged_checkpoint_is_refused_with_its_reason(
    tmp_path: Path, damage: Callable[[Path], object], reason: str
) -> None:
    folder = write_checkpoint(tmp_path / "a")
    damage(folder)
    with pytest.raises(CheckpointError, match=reason):
        InferenceEngine.load(folder)


def test_a_checkpoint_of_format_2_has_a_stream_without_bound_and_another_fingerprint(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "a")
    bounded = load_checkpoint(folder)
    _edit_config(format=2, model={name: size for name, size in CONFIG.to_dict().items() if name != "stream_bound"})(
        folder
    )
    loaded = load_checkpoint(folder)
    assert (bounded.config.stream_bound, loaded.config.stream_bound) == (CONFIG.stream_bound, None)
    assert loaded.fingerprint != bounded.fingerprint


def test_a_checkpoint_of_format_1_has_one_temperature_for_texts_of_any_length(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "a")
    tensors = load_file(folder / "weights.safetensors")
    del tensors["calibration.log_temperature"]
    _replace_as_if_right("weights.safetensors", save(tensors | {"calibration.temperature": np.ones(1) * 2}))(folder)
    _edit_config(format=1)(folder)
    np.testing.assert_allclose(load_checkpoint(folder).weights["calibration.log_temperature"], [np.log(2), 0])
    _replace_as_if_right("weights.safetensors", save(tensors | {"calibration.temperature": np.zeros(1)}))(folder)
    with pytest.raises(CheckpointError, match=r"log_temperature holds numbers that are not finite"):
        load_checkpoint(folder)


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no such checkpoint folder"):
        InferenceEngine.load(tmp_path / "absent")


@pytest.mark.parametrize(
    ("name", "tensor", "reason"),
    [
        ("readout.bias", None, "readout.bias is missing"),
        ("other", np.zeros(3, np.float32), "other is unknown"),
        ("readout.bias", np.zeros(4, np.float32), r"readout.bias has shape \(4,\)"),
        ("readout.bias", np.full(3, np.nan, np.float32), "readout.bias holds numbers that are not finite"),
    ],
)
def test_weights_that_could_not_be_loaded_are_not_saved(
    tmp_path: Path, name: str, tensor: np.ndarray | None, reason: str
) -> None:
    weights = random_weights(CONFIG) | ({name: tensor} if tensor is not None else {})
    if tensor is None:
        del weights[name]
    with pytest.raises(CheckpointError, match=reason):
        save_checkpoint(tmp_path / "a", name="a", config=CONFIG, words=WORDS, weights=weights)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["a", "a"], "has a word twice"),
        (["a", ""], "has an empty word"),
        (["a", "b\nc"], "has an empty word"),
        (["a"], "has 1 words, the sizes say 2"),
    ],
)
def test_an_invalid_vocabulary_is_not_saved(tmp_path: Path, words: list[str], reason: str) -> None:
    config = replace(CONFIG, num_words=2)
    with pytest.raises(CheckpointError, match=reason):
        save_checkpoint(tmp_path / "a", name="a", config=config, words=words, weights=random_weights(config))
