"""A language model of words: its network, its vocabulary, and the completion of prompts.

A text is a sequence of tokens (`Tokenizer.split`; each CJK character is one) with LINE at the end of each line. The
network reads them through an embedding and an LSTM, and predicts the next token by a full softmax.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from model.baselines.recurrent import RecurrentNetwork
from model.errors import ConfigError, UnknownWordError
from model.files import write_whole
from model.text.detokenize import detokenize
from model.text.tokenizer import Tokenizer

UNKNOWN, LINE = SPECIAL = ("<unknown>", "<line>")
"""The tokens for every word outside the vocabulary, and for the end of a line."""

SIZES = ("embedding_size", "hidden_size", "num_layers")
"""The hyperparameters that determine the network's shape."""


class NextWordNetwork(nn.Module):
    """Embedding, LSTM layers, and the logits of the next word."""

    def __init__(self, num_words: int, embedding_size: int, hidden_size: int, num_layers: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_words, embedding_size)
        between = dropout if num_layers > 1 else 0.0
        self.recurrent = RecurrentNetwork("lstm", embedding_size, hidden_size, num_layers, between)
        self.dropout = nn.Dropout(dropout)
        self.readout = nn.Linear(hidden_size, num_words)

    def forward(self, ids: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Read ids, (batch, time), from a state (None: empty).

        Returns the logits of each next word, (batch, time, words), and the next state.
        """
        h, state = self.recurrent(self.dropout(self.embedding(ids)), state)
        return self.readout(self.dropout(h)), state


class WordModel:
    """A network and its vocabulary."""

    def __init__(self, words: Sequence[str], network: NextWordNetwork) -> None:
        self.words = list(words)
        self.network = network
        self._ids = {word: number for number, word in enumerate(words)}

    @classmethod
    def load(cls, run_dir: Path) -> Self:
        """The model of a finished run of `lm`. Raises ConfigError if the directory has none."""
        try:
            config = json.loads((run_dir / "config.json").read_bytes())
            words = (run_dir / "vocabulary.txt").read_text(encoding="utf-8").split("\n")
            embedding_size, hidden_size, num_layers = (config[name] for name in SIZES)
            network = NextWordNetwork(len(words), embedding_size, hidden_size, num_layers, dropout=0.0)
            network.load_state_dict(load((run_dir / "network.safetensors").read_bytes()))
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise ConfigError(f"{run_dir}: holds no finished run of lm") from error
        return cls(words, network)

    def save(self, run_dir: Path) -> None:
        """Write the vocabulary and the weights into a run's directory."""
        write_whole(run_dir / "vocabulary.txt", "\n".join(self.words).encode())
        write_whole(run_dir / "network.safetensors", save(self.network.state_dict()))

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """The ids of tokens; tokens outside the vocabulary get the id of UNKNOWN."""
        return [self._ids.get(token, self._ids[UNKNOWN]) for token in tokens]

    def complete(self, prompt: str, *, max_words: int = 20, temperature: float = 0.0, seed: int = 0) -> str:
        """The prompt and its continuation to the end of the line, at most `max_words` words.

        An empty prompt begins a line. temperature: 0 takes the likeliest word each time; otherwise words are sampled
        with the logits divided by it. seed: of the sampling. Raises UnknownWordError, which names every word of the
        prompt that is not in the vocabulary.
        """
        tokens = Tokenizer.split(prompt)
        unknown = dict.fromkeys(token for token in tokens if token not in self._ids)
        if unknown:
            raise UnknownWordError(f"the text that the model was trained on lacks {', '.join(map(repr, unknown))}")
        drawn = self._continue([self._ids[LINE], *self.encode(tokens)], temperature, np.random.default_rng(seed))
        added = []
        for _, number in zip(range(max_words), drawn, strict=False):
            if self.words[number] == LINE:
                break
            added.append(self.words[number])
        return prompt.rstrip() + detokenize([*tokens, *added])[len(detokenize(tokens)) :]

    @torch.no_grad()
    def _continue(self, ids: list[int], temperature: float, rng: np.random.Generator) -> Iterator[int]:
        """The ids that follow `ids`, endlessly."""
        self.network.eval()
        state = None
        while True:
            logits, state = self.network(torch.tensor([ids]), state)
            scores = logits[0, -1].double()
            scores[self._ids[UNKNOWN]] = -torch.inf
            if temperature:
                shares = torch.softmax(scores / temperature, dim=0).numpy()
                ids = [int(rng.choice(len(shares), p=shares))]
            else:
                ids = [int(scores.argmax())]
            yield ids[0]


def tokens_of(lines: Iterable[str]) -> list[str]:
    """The tokens of a text, with LINE after each line that has any."""
    tokens: list[str] = []
    for line in lines:
        found = Tokenizer.split(line)
        tokens += [*found, LINE] if found else []
    return tokens


def make_words(tokens: Iterable[str], min_count: int, max_words: int) -> list[str]:
    """The vocabulary, at most `max_words` entries: SPECIAL, then tokens with `min_count`, the most frequent first."""
    counts = Counter(tokens)
    words = [word for word, num in counts.items() if num >= min_count and word not in SPECIAL]
    return [*SPECIAL, *sorted(words, key=lambda word: (-counts[word], word))][:max_words]
