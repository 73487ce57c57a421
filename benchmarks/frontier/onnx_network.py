"""Our text network in ONNX Runtime: our tokens, its LSTM on padded batches sorted by length, our pools and classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.frontier.contestants import Read, Scores
from model.checkpoint import Checkpoint

_GROUP = 32  # texts that are padded together
_OPSET, _IR_VERSION = 17, 9


def onnx_network(checkpoint: Checkpoint) -> Read:
    """The network of a checkpoint, without the stream LSTM. Raises ModuleNotFoundError without ONNX and its runtime."""
    session = _session(checkpoint)
    tokenizer = checkpoint.make_tokenizer()
    readout, bias = checkpoint.weights["readout.weight"].T, checkpoint.weights["readout.bias"]

    def read(texts: Sequence[str]) -> Scores:
        encoded = tokenizer.encode_texts(texts)
        of_text = np.repeat(np.arange(len(texts)), encoded.num_chunks)
        lengths = np.bincount(of_text, encoded.chunk_tokens, minlength=len(texts)).astype(np.intp)
        starts = np.cumsum(lengths) - lengths
        scores = np.tile(bias.astype(np.float64), (len(texts), 1))
        order = np.argsort(lengths, kind="stable")
        order = order[lengths[order] > 0]
        for begin in range(0, len(order), _GROUP):
            group = order[begin : begin + _GROUP]
            inside = np.arange(lengths[group[-1]])[:, None] < lengths[group]  # (time, texts)
            ids = np.zeros(inside.shape, np.int64)
            for column, text in enumerate(group):
                ids[: lengths[text], column] = encoded.ids[starts[text] : starts[text] + lengths[text]]
            hidden, last = session.run(["y", "last"], {"ids": ids, "lengths": lengths[group].astype(np.int32)})
            hidden = hidden[:, 0]
            maximum = np.where(inside[:, :, None], hidden, -1).max(axis=0)
            mean = hidden.sum(axis=0) / lengths[group, None]  # zero beyond the end of a text
            scores[group] = np.concatenate([last[0], maximum, mean], axis=1) @ readout + bias
        return scores

    return read


def _session(checkpoint: Checkpoint) -> Any:
    import onnxruntime  # noqa: PLC0415 - named if it is missing
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415

    def gates(name: str) -> Any:
        i, f, g, o = np.split(checkpoint.weights[f"word.lstm.{name}"].astype(np.float32), 4)
        return np.concatenate([i, o, f, g])

    bias = gates("bias")
    tensors = {
        "embedding": checkpoint.weights["word.embedding.weight"].astype(np.float32),
        "w": gates("weight_ih")[None],
        "r": gates("weight_hh")[None],
        "b": np.concatenate([bias, np.zeros_like(bias)])[None],
    }
    hidden_size = checkpoint.config.hidden_size
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["embedding", "ids"], ["x"], axis=0),
            helper.make_node("LSTM", ["x", "w", "r", "b", "lengths"], ["y", "last"], hidden_size=hidden_size),
        ],
        "lstm",
        inputs=[
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["time", "texts"]),
            helper.make_tensor_value_info("lengths", TensorProto.INT32, ["texts"]),
        ],
        outputs=[
            helper.make_tensor_value_info("y", TensorProto.FLOAT, ["time", 1, "texts", hidden_size]),
            helper.make_tensor_value_info("last", TensorProto.FLOAT, [1, "texts", hidden_size]),
        ],
        initializer=[numpy_helper.from_array(tensor, name) for name, tensor in tensors.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])
