"""Peer without a framework, as a skilled user would write it with aiokafka and torch.

    python -m benchmarks.pipeline.peers.torch_batches NUM_RECORDS

It reads micro-batches of up to 256 records (`getmany`), scores them with the same weights in `nn.LSTM` on packed
sequences with one thread, reads and writes states by MGET and MSET, sends event by event, and commits the offsets once
all events are acknowledged. It publishes the label and the probabilities, but no words, mood, shifts or dead letters.

Guarantee: at least once for events. States are weaker: after a crash between MSET and commit, or beside an old owner
that was paused through a rebalance, a text steps its stream twice. One bad record ends the process for good.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import torch
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from redis.asyncio import Redis
from torch import Tensor, nn

from model import LABELS
from model.checkpoint import DEFAULT_CHECKPOINT, load_checkpoint
from model.training.torch_network import SentimentNetwork, add_to_logits
from worker.settings import Settings, load_settings

MAX_BATCH = 256
POLL_MS = 1000


class TorchScorer:
    """The network of the checkpoint in torch."""

    def __init__(self, settings: Settings) -> None:
        checkpoint = load_checkpoint(settings.checkpoint or DEFAULT_CHECKPOINT)
        self._tokenizer = checkpoint.make_tokenizer()
        self._network = SentimentNetwork(checkpoint.config).eval()
        self._network.load_tensors(checkpoint.weights)
        self._stream_bound = checkpoint.config.stream_bound
        self._empty = np.zeros((2, checkpoint.config.stream_size), np.float32)

    @torch.inference_mode()
    def score(
        self, streams: Sequence[str], texts: Sequence[str], stored: dict[str, bytes | None]
    ) -> tuple[list[list[float]], dict[str, bytes]]:
        """Probabilities of each text, (texts, classes), and the new states by stream.

        stored: the state of each stream as bytes, or None. A stream's texts are read in the order given.
        """
        network, stream_cell = self._network, self._network.stream
        ids = [self._tokenizer.encode(text) for text in texts]
        z = self._summarise(ids)
        logits = network.readout(z)
        u = torch.cat([torch.tanh(stream_cell.summary(z)), logits.softmax(dim=-1)], dim=-1)
        carried = {name: torch.from_numpy(self._state(value)) for name, value in stored.items()}
        seen: Counter[str] = Counter()
        rounds: list[list[int]] = []  # the first texts of all streams, then the second ones, ...
        for index, name in enumerate(streams):
            if seen[name] == len(rounds):
                rounds.append([])
            rounds[seen[name]].append(index)
            seen[name] += 1
        for indices in rounds:
            h, c = torch.stack([carried[streams[index]] for index in indices]).unbind(1)
            logits[indices] = add_to_logits(logits[indices], stream_cell.readout(h), self._stream_bound)
            _, (h, c) = stream_cell.lstm(u[indices][:, None], (h[None].contiguous(), c[None].contiguous()))
            after = torch.stack([h[0], c[0]], dim=1)
            carried.update((streams[index], state) for index, state in zip(indices, after, strict=True))
        temperature = network.temperature(torch.tensor([len(of_text) for of_text in ids]))
        shares = (logits / temperature).softmax(dim=-1).tolist()
        return shares, {name: state.numpy().tobytes() for name, state in carried.items()}

    def _summarise(self, ids: Sequence[Sequence[int]]) -> Tensor:
        """Last, maximum and mean of the hidden states of each text, (texts, 3 hidden)."""
        lengths = torch.tensor([len(of_text) for of_text in ids])
        padded = nn.utils.rnn.pad_sequence([torch.tensor(of_text) for of_text in ids], batch_first=True)
        embedded = self._network.word.embedding(padded)
        packed = nn.utils.rnn.pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        output, (last, _) = self._network.word.lstm(packed)
        h, _ = nn.utils.rnn.pad_packed_sequence(output, batch_first=True)
        outside = torch.arange(h.shape[1]) >= lengths[:, None]
        highest = h.masked_fill(outside[..., None], -torch.inf).amax(dim=1)
        return torch.cat([last[0], highest, h.sum(dim=1) / lengths[:, None]], dim=1)  # padded states are zero

    def _state(self, stored: bytes | None) -> Any:
        return self._empty if stored is None else np.frombuffer(stored, np.float32).reshape(2, -1).copy()


async def run(settings: Settings, num_records: int) -> None:
    """Score the topic's records until `num_records` are committed."""
    scorer, redis = TorchScorer(settings), Redis.from_url(settings.redis)
    consumer = AIOKafkaConsumer(
        settings.topics[0],
        bootstrap_servers=settings.kafka,
        group_id=settings.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, enable_idempotence=True, linger_ms=1)
    async with consumer, producer:
        while num_records > 0:
            fetched = await consumer.getmany(max_records=MAX_BATCH, timeout_ms=POLL_MS)
            records = [
                msgspec.json.decode(record.value) for of_partition in fetched.values() for record in of_partition
            ]
            if records:
                await _process(settings, scorer, redis, producer, records)
                await consumer.commit()
                num_records -= len(records)
    await redis.aclose()


async def _process(settings: Settings, scorer: TorchScorer, redis: Any, producer: Any, records: Sequence[Any]) -> None:
    streams = [record["stream"] for record in records]
    keys = {name: f"{settings.group}:{name}" for name in dict.fromkeys(streams)}
    stored = dict(zip(keys, await redis.mget(list(keys.values())), strict=True))
    shares, states = scorer.score(streams, [record["text"] for record in records], stored)
    sent = []
    for record, (negative, neutral, positive) in zip(records, shares, strict=True):
        probabilities = (negative, neutral, positive)
        event = {
            "record_id": record["id"],
            "stream": record["stream"],
            "label": LABELS[probabilities.index(max(probabilities))],
            "score": positive - negative,
            "probabilities": probabilities,
        }
        value = msgspec.json.encode(event)
        sent.append(await producer.send(settings.events_topic, value, record["stream"].encode()))
    await asyncio.gather(*sent)
    await redis.mset({keys[name]: state for name, state in states.items()})


if __name__ == "__main__":
    torch.set_num_threads(1)
    uvloop.run(run(load_settings(), int(sys.argv[1])))
