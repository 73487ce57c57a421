"""torch's `nn.LSTM`: padded, packed, and packed with int8 weights."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from benchmarks.engine.contestants.contestant import Contestant
from benchmarks.engine.contestants.work import Work
from model.inference.schedule import IntArray
from model.inference.state import FloatArray

INT8_ENGINES = ("x86", "onednn")


def padded(work: Work) -> Contestant:
    """Batches padded with zeros to their longest text: the simplest way to use an LSTM."""
    embedding, lstm = network(work)
    groups = _batches(work)
    ids = [torch.from_numpy(work.texts.padded(group)) for group in groups]
    at_end = [torch.from_numpy(work.texts.lengths[group] - 1) for group in groups]

    @torch.inference_mode()
    def read() -> FloatArray:
        hidden = []
        for of_batch, last in zip(ids, at_end, strict=True):
            outputs, _ = lstm(embedding(of_batch))
            hidden.append(outputs[last, torch.arange(len(last))])
        return _joined(hidden)

    return Contestant("padded", "torch nn.LSTM, padded", read, np.concatenate(groups))


def packed(work: Work) -> Contestant:
    """Packed sequences, sorted and packed beforehand; padding is not embedded."""
    return _packed(work, *network(work))


def quantised(work: Work) -> list[Contestant]:
    """Packed sequences with int8 weights, by each of torch's quantised engines that is available."""
    embedding, lstm = network(work)
    before = torch.backends.quantized.engine
    found = []
    try:
        for engine in INT8_ENGINES:
            if engine in torch.backends.quantized.supported_engines:
                torch.backends.quantized.engine = engine
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of its deprecation
                    [in_int8] = torch.ao.quantization.quantize_dynamic(nn.Sequential(lstm), {nn.LSTM}, torch.qint8)  # type: ignore[no-untyped-call]
                found.append(_packed(work, embedding, in_int8, engine))
    finally:
        torch.backends.quantized.engine = before
    return found


def _packed(work: Work, embedding: nn.Module, lstm: nn.Module, int8_engine: str | None = None) -> Contestant:
    groups = _batches(work)
    batches = [pack(work, group) for group in groups]

    @torch.inference_mode()
    def read() -> FloatArray:
        before = torch.backends.quantized.engine
        if int8_engine:
            torch.backends.quantized.engine = int8_engine
        hidden = []
        for ids, batch_sizes in batches:
            _, (last, _) = lstm(PackedSequence(embedding(ids), batch_sizes))
            hidden.append(last[0])
        torch.backends.quantized.engine = before
        return _joined(hidden)

    name, title = ("packed_int8", "torch int8 nn.LSTM, packed") if int8_engine else ("packed", "torch nn.LSTM, packed")
    return Contestant(name, title, read, np.concatenate(groups), is_exact=not int8_engine)


def pack(work: Work, group: IntArray) -> tuple[Tensor, Tensor]:
    """The ids of a group, sorted by time step, and the number of texts at each step."""
    ids, lengths = torch.from_numpy(work.texts.padded(group)), torch.from_numpy(work.texts.lengths[group])
    sequence = nn.utils.rnn.pack_padded_sequence(ids, lengths)
    return sequence.data, sequence.batch_sizes


def _batches(work: Work) -> list[IntArray]:
    """The texts of each batch, the longest first, which packing requires."""
    return [group[::-1].copy() for group in work.sorted_batches(work.batch)]


def network(work: Work) -> tuple[nn.Embedding, nn.LSTM]:
    """Embedding and LSTM with the weights of the work; torch's second bias is zero."""
    tensors = {name: torch.from_numpy(weight) for name, weight in work.weights.items()}
    embedding = nn.Embedding.from_pretrained(tensors["word.embedding.weight"])  # type: ignore[no-untyped-call]
    lstm = nn.LSTM(work.config.embedding_size, work.config.hidden_size)
    state: dict[str, Any] = {
        "weight_ih_l0": tensors["word.lstm.weight_ih"],
        "weight_hh_l0": tensors["word.lstm.weight_hh"],
        "bias_ih_l0": tensors["word.lstm.bias"],
        "bias_hh_l0": torch.zeros_like(tensors["word.lstm.bias"]),
    }
    lstm.load_state_dict(state)
    return embedding, lstm.eval()


def _joined(hidden: Sequence[Tensor]) -> FloatArray:
    joined: FloatArray = torch.cat(list(hidden)).numpy()
    return joined
