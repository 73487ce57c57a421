"""The trained network equals the served one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.checkpoint import load_checkpoint, save_checkpoint
from model.config import ModelConfig
from model.inference.batch import Request
from model.inference.engine import InferenceEngine
from model.reference import ReferenceNetwork
from model.text.tokenizer import Tokenizer
from model.training.batches import pad
from model.training.torch_network import SentimentNetwork, StreamNetwork, add_to_logits, merge_cells

CONFIG = ModelConfig(num_words=12, num_buckets=4, embedding_size=8, hidden_size=10, summary_size=3, stream_size=5)
WORDS = ["<url>", "<user>", "<tag>", "<number>", "<long>", "<allcaps>", "the", "film", "was", "great", "boring", "!"]
TEXTS = ["The film was GREAT!", "boring", "so boooring, the plot was a mess, the film was boring...", "was it? great"]


@pytest.fixture
def network() -> SentimentNetwork:
    torch.manual_seed(3)
    network = SentimentNetwork(CONFIG).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(-0.8, 0.8)
    network.log_temperature.copy_(torch.tensor([0.5, -0.1]))
    return network


def _score_stream(network: SentimentNetwork, texts: list[str], bound: float | None = CONFIG.stream_bound) -> np.ndarray:
    """(texts, classes) probabilities of the texts of one stream."""
    tokenizer = Tokenizer(WORDS, CONFIG.num_buckets)
    tokens, lengths = map(torch.from_numpy, pad([np.array(tokenizer.encode(text), np.int32) for text in texts]))
    with torch.no_grad():
        z = network.word(tokens, lengths)
        logits = network.readout(z)
        logits = add_to_logits(logits, network.stream(z[None], logits[None])[0], bound)
        return (logits / network.temperature(lengths)).softmax(dim=-1).numpy()


@pytest.mark.parametrize("bound", [None, 0.3, 1.5])
def test_torch_the_reference_and_the_engine_give_the_same_probabilities(
    network: SentimentNetwork, tmp_path: Path, bound: float | None
) -> None:
    config = replace(CONFIG, stream_bound=bound)
    save_checkpoint(tmp_path / "c", name="small", config=config, words=WORDS, weights=network.tensors())
    trained = _score_stream(network, TEXTS, bound)
    reference = ReferenceNetwork.load(tmp_path / "c").read([(text, True) for text in TEXTS])
    served = InferenceEngine.load(tmp_path / "c").score([Request("a", text) for text in TEXTS])
    assert np.ptp(trained, axis=0).max() > 0.05
    np.testing.assert_allclose(trained, [reading.probabilities for reading in reference], atol=1e-5)
    np.testing.assert_allclose(trained, [result.probabilities for result in served], atol=1e-5)


def test_a_network_loaded_from_its_tensors_is_the_same_network(network: SentimentNetwork, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c", name="small", config=CONFIG, words=WORDS, weights=network.tensors())
    loaded = SentimentNetwork(CONFIG)
    loaded.load_tensors(load_checkpoint(tmp_path / "c").weights)
    np.testing.assert_allclose(_score_stream(loaded.eval(), TEXTS), _score_stream(network, TEXTS), atol=1e-6)


def test_texts_of_a_padded_batch_are_independent(network: SentimentNetwork) -> None:
    ids = [np.arange(1, 1 + length, dtype=np.int32) for length in (1, 9, 4)]
    together = network.word(*map(torch.from_numpy, pad(ids)))
    for row, text in zip(together, ids, strict=True):
        alone = network.word(*map(torch.from_numpy, pad([text])))[0]
        torch.testing.assert_close(row, alone, atol=1e-6, rtol=0)


def test_a_new_stream_cell_changes_nothing_until_it_is_trained() -> None:
    network = SentimentNetwork(CONFIG)
    addend = network.stream(torch.randn(2, 5, CONFIG.pooled_size), torch.randn(2, 5, 3))
    assert not addend.any()


def test_the_stream_adds_nothing_to_its_first_text(network: SentimentNetwork) -> None:
    addend = network.stream(torch.randn(2, 5, CONFIG.pooled_size), torch.randn(2, 5, 3))
    assert not addend[:, 0].any()
    assert addend[:, 1:].all()


def test_merged_cells_give_the_mean_of_their_outputs() -> None:
    torch.manual_seed(4)
    cells = [StreamNetwork(CONFIG) for _ in range(3)]
    for cell in cells:
        torch.nn.init.normal_(cell.readout.weight)
    sizes = replace(CONFIG, summary_size=3 * CONFIG.summary_size, stream_size=3 * CONFIG.stream_size)
    merged = StreamNetwork(sizes)
    merged.load_state_dict(merge_cells(cells))
    z, logits = torch.randn(2, 6, CONFIG.pooled_size), torch.randn(2, 6, 3)
    mean = sum(cell(z, logits) for cell in cells) / len(cells)
    torch.testing.assert_close(merged(z, logits), mean, atol=1e-6, rtol=1e-5)
