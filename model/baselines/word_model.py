"""A language model of words: its network, its vocabulary, and how it completes a prompt.

A text is a sequence of tokens (`Tokenizer.split`: of CJK text, each character is one), and LINE where a line ends.
The network reads them through an embedding and an LSTM, and a full softmax says which one comes next.
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
"""What stands for every word that the vocabulary lacks, and for the end of a line."""

SIZES = ("embedding_size", "hidden_size", "num_layers")
"""Hyperparameters of the run that the network's shape follows from."""


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
        """(batch, time) ids, a state (None: empty) -> (batch, time, words) logits of the next one, and the state."""
        h, state = self.recurrent(self.dropout(self.embedding(ids)), state)
        return self.readout(self.dropout(h)), state


class WordModel:
    """A network and the words that it knows."""

    def __init__(self, words: Sequence[str], network: NextWordNetwork) -> None:
        self.words = list(words)
        self.network = network
        self._ids = {word: number for number, word in enumerate(words)}

    @classmethod
    def load(cls, run: Path) -> Self:
        """The model of a finished run. Raises ConfigError for a folder that is none of `lm`."""
        try:
            config = json.loads((run / "config.json").read_bytes())
            words = (run / "vocabulary.txt").read_text(encoding="utf-8").split("\n")
            embedding_size, hidden_size, num_layers = (config[name] for name in SIZES)
            network = NextWordNetwork(len(words), embedding_size, hidden_size, num_layers, dropout=0.0)
            network.load_state_dict(load((run / "network.safetensors").read_bytes()))
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise ConfigError(f"{run}: holds no finished run of lm") from error
        return cls(words, network)

    def save(self, run: Path) -> None:
        """Write the vocabulary and the weights."""
        write_whole(run / "vocabulary.txt", "\n".join(self.words).encode())
        write_whole(run / "network.safetensors", save(self.network.state_dict()))

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """The ids of tokens, UNKNOWN's where the vocabulary lacks one."""
        return [self._ids.get(token, self._ids[UNKNOWN]) for token in tokens]

    def complete(self, prompt: str, *, max_words: int = 20, temperature: float = 0.0, seed: int = 0) -> str:
        """The prompt, and what follows it until the line ends, at most `max_words`; an empty one begins a line.

        temperature 0: the likeliest word each time. Else words are drawn by their probabilities after the logits were
        divided by it: below 1 the likely ones more often. Raises UnknownWordError that names every unknown word.
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
        """The ids that follow, without end."""
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
    """The tokens of a text, LINE behind each line that has any."""
    tokens: list[str] = []
    for line in lines:
        found = Tokenizer.split(line)
        tokens += [*found, LINE] if found else []
    return tokens


def make_words(tokens: Iterable[str], min_count: int, max_words: int) -> list[str]:
    """The vocabulary: SPECIAL, then the tokens that occur `min_count` times, the most frequent first."""
    counts = Counter(tokens)
    words = [word for word, num in counts.items() if num >= min_count and word not in SPECIAL]
    return [*SPECIAL, *sorted(words, key=lambda word: (-counts[word], word))][:max_words]
