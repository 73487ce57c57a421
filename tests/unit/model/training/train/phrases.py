"""Phrases whose words have a class, as rows of a corpus."""

from __future__ import annotations

import random

WORDS = {
    "negative": ("awful", "boring", "sad", "bad"),
    "neutral": ("today", "ticket", "line", "seven"),
    "positive": ("great", "lovely", "fun", "good"),
}


def _phrase(label: str, rng: random.Random) -> str:
    filler = rng.choices(("the", "film", "was", "a", "so", "and"), k=rng.randint(2, 8))
    return " ".join(
        [*filler, rng.choice(WORDS[label]), *rng.choices(("it", "is", "very"), k=2), rng.choice(WORDS[label])]
    )


def labelled_rows(
    num: int, labels: tuple[str, ...], rng: random.Random, prefix: str, num_streams: int
) -> list[dict[str, str]]:
    rows = []
    for i in range(num):
        label = rng.choice(labels)
        row = {"id": f"{prefix}{i}", "text": _phrase(label, rng), "label": label, "split": ("train", "dev")[i % 2]}
        rows.append(row | ({"stream": f"{prefix} stream {i % num_streams}"} if num_streams else {}))
    return rows
