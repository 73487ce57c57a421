"""The sentence encoder and its teacher, with a tiny encoder of random weights."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch

from model.config import ModelConfig, TrainConfig
from model.data.corpora import NEGATIVE, NEUTRAL, POSITIVE, Example
from model.errors import DataError
from model.training.distillation.encoder import NORM_EPSILON, Encoder, EncoderLayer, EncoderSizes, _from_graph
from model.training.distillation.encoder_teacher import EncoderTeacher, TeacherConfig
from model.training.run_folder import RunFolder

ROOT = Path(__file__).parents[4]
WORDS = "[PAD] [UNK] [CLS] [SEP] good lovely bad awful plain ticket the film was it so a http @ user"
SIZES = EncoderSizes(num_pieces=24, num_positions=32, size=16, inner_size=32, num_layers=2, num_heads=4)
CONFIG = TeacherConfig(epochs=8, batch_tokens=256, batch_texts=16, max_pieces=12, learning_rate=5e-3)
TELLING = {NEGATIVE: ("bad", "awful"), NEUTRAL: ("plain", "ticket"), POSITIVE: ("good", "lovely")}


def _pieces() -> Any:
    ids = {word: number for number, word in enumerate(WORDS.split())}
    pieces = tokenizers.Tokenizer(tokenizers.models.WordLevel(ids, unk_token="[UNK]"))
    pieces.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    pieces.post_processor = tokenizers.processors.BertProcessing(("[SEP]", ids["[SEP]"]), ("[CLS]", ids["[CLS]"]))
    return pieces


def _encoder() -> Encoder:
    torch.manual_seed(0)
    return Encoder(SIZES).eval()


def _teacher(config: TeacherConfig = CONFIG) -> EncoderTeacher:
    return EncoderTeacher("short", _encoder(), _pieces(), config)


def _examples(num: int, labels: tuple[int, ...], seed: int = 0) -> list[Example]:
    rng = random.Random(seed)
    examples = []
    for number in range(num):
        label = rng.choice(labels)
        filler = rng.choices(("the", "film", "was", "it", "so", "a"), k=rng.randint(2, 6))
        text = [*filler, rng.choice(TELLING[label]), *rng.choices(("it", "so"), k=2)]
        examples.append(Example(str(number), " ".join(text), label))
    return examples


def _probabilities(teacher: EncoderTeacher, texts: list[str]) -> np.ndarray:
    return torch.softmax(torch.from_numpy(teacher.logits(texts)), dim=1).numpy()


@pytest.fixture
def run_dir(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run", ModelConfig(), TrainConfig())


def test_padding_does_not_change_an_encoding() -> None:
    encoder, text, longer = _encoder(), torch.tensor([[2, 5, 3]]), torch.tensor([[2, 7, 8, 9, 3]])
    alone = encoder(text, torch.tensor([3]))
    beside = encoder(torch.cat([torch.nn.functional.pad(text, (0, 2)), longer]), torch.tensor([3, 5]))
    torch.testing.assert_close(beside[:1], alone)


def test_a_layer_equals_torchs_encoder_layer() -> None:
    layer = EncoderLayer(SIZES)
    library = torch.nn.TransformerEncoderLayer(
        SIZES.size, SIZES.num_heads, SIZES.inner_size, 0.0, "gelu", NORM_EPSILON, batch_first=True
    )
    modules = {
        "self_attn.in_proj_": layer.qkv,
        "self_attn.out_proj.": layer.mixed,
        "norm1.": layer.mixed_norm,
        "linear1.": layer.inner,
        "linear2.": layer.outer,
        "norm2.": layer.outer_norm,
    }
    library.load_state_dict(
        {prefix + part: getattr(m, part) for prefix, m in modules.items() for part in ("weight", "bias")}
    )
    x, seen = torch.randn(3, 5, SIZES.size), torch.arange(5) < torch.tensor([[5], [2], [4]])
    torch.testing.assert_close(layer(x, seen[:, None, None])[seen], library(x, src_key_padding_mask=~seen)[seen])


def test_weights_are_found_by_the_names_of_the_nodes_that_use_them() -> None:
    encoder = _encoder()
    graph = _graph_of(encoder)
    weights = _from_graph(graph, lambda tensor: tensor.array, SIZES)
    assert weights.keys() == encoder.state_dict().keys()
    for name, weight in encoder.state_dict().items():
        torch.testing.assert_close(weights[name], weight, msg=name)


def _graph_of(encoder: Encoder) -> SimpleNamespace:
    """A graph like the ONNX export of BERT: matrices are transposed and have numbers for names."""
    arrays = {name: tensor.numpy() for name, tensor in encoder.state_dict().items()}
    kinds = np.random.default_rng(0).normal(size=(2, SIZES.size)).astype(np.float32)
    named = {
        "embeddings.word_embeddings.weight": arrays["pieces.weight"],
        "embeddings.position_embeddings.weight": arrays["positions.weight"] - kinds[0],
        "embeddings.token_type_embeddings.weight": kinds,
        "embeddings.LayerNorm.weight": arrays["norm.weight"],
        "embeddings.LayerNorm.bias": arrays["norm.bias"],
    }
    nodes = [SimpleNamespace(op_type="MatMul", name="/scores/MatMul", input=["queries", "keys"])]
    for i in range(SIZES.num_layers):
        here, there = f"layers.{i}.", f"encoder.layer.{i}."
        matrices = {
            "attention.output.dense": "mixed",
            "intermediate.dense": "inner",
            "output.dense": "outer",
        }
        parts = {of: [arrays[f"{here}{to}.{part}"] for part in ("weight", "bias")] for of, to in matrices.items()}
        split = zip(np.split(arrays[f"{here}qkv.weight"], 3), np.split(arrays[f"{here}qkv.bias"], 3), strict=True)
        for kind, pair in zip(("query", "key", "value"), split, strict=True):
            parts[f"attention.self.{kind}"] = list(pair)
        for of, (weight, bias) in parts.items():
            number = f"onnx::MatMul_{len(named)}"
            named |= {number: weight.T, f"{there}{of}.bias": bias}
            path = "/" + f"{there}{of}".replace(".", "/").replace("layer/", "layer.") + "/MatMul"
            nodes.append(SimpleNamespace(op_type="MatMul", name=path, input=["x", number]))
        for of, to in {"attention.output.LayerNorm": "mixed_norm", "output.LayerNorm": "outer_norm"}.items():
            named |= {f"{there}{of}.{part}": arrays[f"{here}{to}.{part}"] for part in ("weight", "bias")}
    initializer = [SimpleNamespace(name=name, array=array) for name, array in named.items()]
    return SimpleNamespace(initializer=initializer, node=nodes)


def test_the_teacher_learns_from_corpora_of_two_and_three_classes(run_dir: RunFolder) -> None:
    teacher = _teacher()
    corpora = {"two": _examples(150, (NEGATIVE, POSITIVE)), "three": _examples(200, (NEGATIVE, NEUTRAL, POSITIVE), 1)}
    losses: list[float] = []
    teacher.fit(corpora, run_dir, lambda step, num_steps, loss: losses.append(loss))
    new = _examples(60, (NEGATIVE, NEUTRAL, POSITIVE), seed=2)
    targets = _probabilities(teacher, [example.text for example in new])
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-5)
    assert np.mean(targets.argmax(axis=1) == [example.label for example in new]) > 0.95
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) / 3


def test_the_teacher_never_predicts_a_class_without_training_texts(run_dir: RunFolder) -> None:
    teacher = _teacher(TeacherConfig(epochs=1))
    teacher.fit({"two": _examples(30, (NEGATIVE, POSITIVE))}, run_dir)
    assert _probabilities(teacher, ["the film was plain"])[0, NEUTRAL] < 1e-12


def test_soft_targets_are_for_balanced_classes_even_when_one_was_rare(run_dir: RunFolder) -> None:
    teacher = _teacher()
    vague = [Example(str(i), "the film was so", NEGATIVE if i % 10 == 0 else POSITIVE) for i in range(200)]
    teacher.fit({"two": vague}, run_dir)
    assert _probabilities(teacher, ["the film was so"])[0, NEGATIVE] == pytest.approx(0.5, abs=0.1)


def test_an_interrupted_fit_resumes_to_the_weights_of_an_uninterrupted_one(
    run_dir: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StoppedError(Exception):
        pass

    def stop(step: int, num_steps: int, loss: float) -> None:
        if step == 6:
            raise StoppedError

    monkeypatch.setattr("model.training.distillation.encoder_teacher.SAVE_EVERY", 4)
    corpora, config = {"two": _examples(100, (NEGATIVE, POSITIVE))}, TeacherConfig(epochs=2, batch_texts=16)
    with pytest.raises(StoppedError):
        _teacher(config).fit(corpora, run_dir, stop)
    again, whole, steps = _teacher(config), _teacher(config), list[int]()
    again.fit(corpora, run_dir, lambda step, num_steps, loss: steps.append(step))
    whole.fit(corpora, RunFolder(tmp_path / "whole", ModelConfig(), TrainConfig()))
    assert steps[0] == 5
    for name, tensor in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


def test_the_embeddings_of_the_pieces_stay_frozen(run_dir: RunFolder) -> None:
    teacher, before = _teacher(), _encoder().pieces.weight
    teacher.fit({"two": _examples(30, (NEGATIVE, POSITIVE))}, run_dir)
    assert torch.equal(teacher.encoder.pieces.weight, before)


def test_a_long_text_keeps_both_ends() -> None:
    teacher = _teacher()
    [ids] = teacher.encode(["good " + "the " * 50 + "bad"])
    assert len(ids) == CONFIG.max_pieces
    assert [teacher.pieces.id_to_token(i) for i in (*ids[:3], *ids[-3:])] == [
        *("[CLS]", "good", "the"),
        *("the", "bad", "[SEP]"),
    ]


def test_the_teacher_reads_all_links_and_user_names_alike() -> None:
    there, here = _teacher().encode(["@anna good http://t.example/x1", "@user good http"])
    assert list(there) == list(here)


def test_a_corpus_of_one_class_is_refused(run_dir: RunFolder) -> None:
    with pytest.raises(DataError, match="semeval: labels of at least two classes"):
        _teacher().fit({"semeval": _examples(10, (POSITIVE,))}, run_dir)


@pytest.mark.parametrize("missing", ["jgo", "onnx", "tokenizers"])
def test_without_a_package_the_encoder_says_what_to_install(missing: str) -> None:
    load = "from model.training.distillation.encoder import load_pretrained; load_pretrained()"
    code = f"import sys; sys.modules[{missing!r}] = None; {load}"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode != 0
    assert "pip install '.[train]'" in run.stderr
