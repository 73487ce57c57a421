"""ONNX Runtime's LSTM, in float32 and with dynamically quantised int8 weights.

Its LSTM reads padded batches, so texts are grouped by length. `bucketed`: within each batch, in groups of the size that
is fastest. `ahead`: over all texts of the run, as if a server could wait for them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from benchmarks.engine.contestants.contestant import Contestant
from benchmarks.engine.contestants.work import Work
from model.inference.schedule import IntArray
from model.inference.state import FloatArray

GROUPS = (16, 32, 64)  # texts
_OPSET, _IR_VERSION = 17, 9


def bucketed_and_ahead(work: Work, *, int8: bool) -> tuple[list[Contestant], list[Contestant]]:
    """Contestants of both kinds, each with every group size of GROUPS."""
    session, (name, title) = make_session(work, int8=int8), _names(int8)
    return (
        [
            Contestant(f"{name}_bucketed", f"{title}, bucketed", *_reader(work, session, groups), not int8)
            for groups in map(work.sorted_batches, GROUPS)
        ],
        [
            Contestant(f"{name}_ahead", f"{title}, sorted ahead", *_reader(work, session, groups), not int8)
            for groups in map(work.sorted_ahead, GROUPS)
        ],
    )


def whole_batches(work: Work, session: Any, *, int8: bool) -> Contestant:
    """A contestant that pads every batch as one group."""
    return Contestant(*_names(int8), *_reader(work, session, work.sorted_batches(work.batch)), not int8)


def _names(int8: bool) -> tuple[str, str]:
    return ("ort_int8", "ONNX Runtime int8") if int8 else ("ort_float32", "ONNX Runtime float32")


def _reader(work: Work, session: Any, groups: list[IntArray]) -> tuple[Callable[[], FloatArray], IntArray]:
    """A function that reads the texts in these groups, padded beforehand, and the order of its results."""
    feeds = [
        {"ids": work.texts.padded(group).astype(np.int64), "lengths": work.texts.lengths[group].astype(np.int32)}
        for group in groups
    ]

    def read() -> FloatArray:
        return np.concatenate([session.run(["last"], feed)[0][0] for feed in feeds])

    return read, np.concatenate(groups)


def make_session(work: Work, *, int8: bool) -> Any:
    """A session on one thread, with inputs `ids` (time, texts) and `lengths` (texts,), output `last` (1, texts, H)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    with TemporaryDirectory(prefix="sentiment-bench-") as name:
        file = Path(name) / "lstm.onnx"
        onnx.save(_graph(work), file)
        if int8:
            quantised, log = Path(name) / "lstm-int8.onnx", logging.getLogger()
            level = log.level
            log.setLevel(logging.ERROR)  # it advises a preprocessing that this graph does not need
            try:
                quantize_dynamic(file, quantised, op_types_to_quantize=["LSTM"], weight_type=QuantType.QInt8)
            finally:
                log.setLevel(level)
            file = quantised
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def _graph(work: Work) -> Any:
    """A Gather and an LSTM node, whose gates ONNX orders input, output, forget, cell."""
    hidden_size = work.config.hidden_size
    bias = _onnx_gates(work.weights["word.lstm.bias"])
    tensors = {
        "embedding": work.weights["word.embedding.weight"],
        "w": _onnx_gates(work.weights["word.lstm.weight_ih"])[None],
        "r": _onnx_gates(work.weights["word.lstm.weight_hh"])[None],
        "b": np.concatenate([bias, np.zeros_like(bias)])[None],
    }
    nodes = [
        helper.make_node("Gather", ["embedding", "ids"], ["x"], axis=0),
        helper.make_node("LSTM", ["x", "w", "r", "b", "lengths"], ["", "last"], hidden_size=hidden_size),
    ]
    graph = helper.make_graph(
        nodes,
        "lstm",
        inputs=[
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["time", "texts"]),
            helper.make_tensor_value_info("lengths", TensorProto.INT32, ["texts"]),
        ],
        outputs=[helper.make_tensor_value_info("last", TensorProto.FLOAT, [1, "texts", hidden_size])],
        initializer=[numpy_helper.from_array(tensor, name) for name, tensor in tensors.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)


def _onnx_gates(weights: FloatArray) -> FloatArray:
    i, f, g, o = np.split(weights, 4)
    return np.concatenate([i, o, f, g])
