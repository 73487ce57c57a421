"""A language model over the word LSTM: it learns words and their order before the network sees a label.

Dai and Le 2015, "Semi-supervised Sequence Learning": an LSTM that starts as a language model of the same texts
classifies better than one that starts with random weights. The output layer shares the embedding (Press and Wolf
2017); the softmax is over the true word and a sample of others, corrected for their sampling rates (Jean et al. 2015).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from math import exp

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model.training.batches import Ids
from model.training.fit import TrainingRun, fast_arithmetic
from model.training.torch_network import WordNetwork
from model.training_loop import TrainingLoop, warm_up_then_decay

HELD_EVERY = 200  # one text in so many is held out
SAVE_EVERY = 500  # steps
WARMUP_STEPS = 99
UNIGRAM_POWER = 0.75  # words are sampled by their frequency to this power (Mikolov et al. 2013)


class LanguageModel(nn.Module):
    """Predicts the next word at every token of a text."""

    log_expected: Tensor

    def __init__(self, word: WordNetwork, counts: NDArray[np.int64], num_sampled: int) -> None:
        """`counts` (rows,): occurrences of each row of the embedding. `num_sampled`: words sampled for a batch."""
        super().__init__()
        self.word = word
        self.projection = nn.Linear(word.lstm.hidden_size, word.embedding.embedding_dim)
        self.bias = nn.Parameter(torch.zeros(len(counts)))
        shares = np.maximum(counts, 1) ** UNIGRAM_POWER
        self._shares = torch.from_numpy(shares / shares.sum())
        self._num_sampled = num_sampled
        expected = torch.log(self._shares * num_sampled).float()
        self.register_buffer("log_expected", expected, persistent=False)

    def loss(self, tokens: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(batch, time + 1) ids and the state before them -> mean loss of the next word, and the state after them."""
        h, state = self.word.lstm(self.word.embedding(tokens[:, :-1]), state)
        p = self.projection(h).flatten(0, 1)  # (batch x time, embedding)
        targets = tokens[:, 1:].flatten()
        sampled = torch.multinomial(self._shares, self._num_sampled, replacement=True)
        vectors = self.word.embedding(torch.cat([targets, sampled]))
        offset = self.bias - self.log_expected
        true = (p * vectors[: len(targets)]).sum(dim=1).float() + offset[targets]
        others = torch.addmm(offset[sampled].to(p.dtype), p, vectors[len(targets) :].to(p.dtype).T).float()
        loss = torch.logaddexp(torch.logsumexp(others, dim=1), true) - true
        return loss.mean(), (state[0].detach(), state[1].detach())

    @torch.no_grad()
    def log_likelihood(self, tokens: Tensor) -> Tensor:
        """(batch, time + 1) ids -> mean log probability of the next word, over the whole vocabulary."""
        h, _ = self.word.lstm(self.word.embedding(tokens[:, :-1]))
        p = self.projection(h).flatten(0, 1)
        logits = nn.functional.linear(p, self.word.embedding.weight).float() + self.bias
        return -nn.functional.cross_entropy(logits, tokens[:, 1:].flatten())


def windows(texts: Sequence[Ids], num_rows: int, num_tokens: int, rng: np.random.Generator) -> Iterator[Tensor]:
    """One epoch: (num_rows, num_tokens + 1) ids at a time of the texts, joined in random order and cut into rows.

    Each window continues the one before and shares a token with it.
    """
    joined = np.concatenate([texts[i] for i in rng.permutation(len(texts))]).astype(np.int64)
    length = len(joined) // num_rows
    rows = torch.from_numpy(joined[: length * num_rows].reshape(num_rows, length))
    for start in range(0, length - 1, num_tokens):
        yield rows[:, start : start + num_tokens + 1]


def fit_language_model(run: TrainingRun, texts: Sequence[Ids]) -> None:
    """Train the word network to predict the next word, from the last saved step on."""
    config, word = run.config, run.network.word
    held, read = texts[::HELD_EVERY], [text for number, text in enumerate(texts) if number % HELD_EVERY]
    counts = np.bincount(np.concatenate(texts), minlength=word.embedding.num_embeddings)
    model = LanguageModel(word, counts, config.language_sampled)
    rate = config.language_learning_rate
    optimizer = torch.optim.Adam(model.parameters(), rate, betas=(0.9, 0.99), fused=True)
    size = config.language_rows, config.language_tokens
    num_steps = config.language_epochs * -(-(sum(map(len, read)) // size[0] - 1) // size[1])
    loop = TrainingLoop(model.state_dict(), optimizer, clipping=config.clipping, seed=config.seed)
    run.folder.load_step("language", loop)
    rng = [np.random.default_rng((config.seed, epoch)) for epoch in range(config.language_epochs)]
    plan = chain.from_iterable(windows(read, *size, rng[epoch]) for epoch in range(config.language_epochs))
    state: tuple[Tensor, Tensor] | None = None

    def loss_of(tokens: Tensor) -> Tensor:
        nonlocal state
        with fast_arithmetic():
            loss, state = model.loss(tokens, state)
        return loss

    task = run.progress.add_task("language model, steps", total=num_steps, completed=loop.num_done)
    losses: list[float] = []
    for loss in loop.run(islice(plan, loop.num_done, None), loss_of, warm_up_then_decay(WARMUP_STEPS, num_steps)):
        losses.append(loss)
        run.progress.update(task, advance=1, description=f"language model, loss {np.mean(losses[-100:]):.3f}; steps")
        if loop.num_done % SAVE_EVERY == 0 or loop.num_done == num_steps:
            run.folder.save_step("language", loop)
            run.folder.log("language", loop.num_done, loss=float(np.mean(losses)), perplexity=perplexity(model, held))
            losses.clear()


def perplexity(model: LanguageModel, texts: Sequence[Ids]) -> float:
    """Perplexity of texts, each from an empty state, without dropout and over the whole vocabulary."""
    model.eval()
    total, count = 0.0, 0
    for text in texts:
        if len(text) > 1:
            total += model.log_likelihood(torch.from_numpy(text[None].astype(np.int64))).item() * (len(text) - 1)
            count += len(text) - 1
    model.train()
    return exp(-total / count)
