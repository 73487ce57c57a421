"""Three languages of a few words, texts made of them, and an encoder that knows what they mean."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from model.text.normalise import SPECIAL_TOKENS
from model.training.multilingual.e5 import DIM, Piece

WORDS = {
    "en": {"negative": "awful boring bad", "neutral": "today ticket line", "positive": "great lovely good"},
    "de": {"negative": "schlecht furchtbar", "neutral": "heute fahrkarte", "positive": "wunderbar sch\u00f6n"},
    "zh": {
        "negative": "\u7cdf\u7cd5 \u5dee",
        "neutral": "\u4eca\u5929 \u7968",
        "positive": "\u597d\u770b \u6f02\u4eae",
    },
}
FILLERS = {"en": "the film was a so and", "de": "der film war ein und", "zh": "\u8fd9 \u7535\u5f71 \u662f \u4e86"}
ENGLISH = [*SPECIAL_TOKENS, *" ".join(WORDS["en"].values()).split(" "), *FILLERS["en"].split(" ")]
CLASSES = ("negative", "neutral", "positive")


class Encoder:
    """In place of the pretrained one: a text's vector is the mean of random ones of its words, its class beside it."""

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        found = np.zeros((len(texts), DIM), np.float32)
        for place, text in enumerate(texts):
            row = found[place]
            row += np.random.default_rng(crc32(text.encode())).normal(0, 0.1, DIM)
            for words in WORDS.values():
                for number, label in enumerate(CLASSES):
                    row[number] += sum(word in text for word in words[label].split(" "))
            row /= np.linalg.norm(row)
        return found

    def pieces(self) -> list[Piece]:
        joined = " ".join(part for texts in (*WORDS.values(), FILLERS) for part in texts.values())
        return [Piece(f"\u2581{word}", -float(number)) for number, word in enumerate(joined.split(" "))]


def labelled_rows(
    language: str, num: int, labels: Sequence[str], rng: random.Random, num_streams: int = 0
) -> list[dict[str, Any]]:
    rows, glue = [], "" if language == "zh" else " "
    for number in range(num):
        label = rng.choice(labels)
        words = [*rng.choices(FILLERS[language].split(" "), k=4), *rng.choices(WORDS[language][label].split(" "), k=2)]
        row = {"id": f"{language}{num}/{number}", "text": glue.join(words), "label": label}
        row["split"] = ("train", "dev")[number % 2]
        rows.append(row | ({"stream": f"stream {number % num_streams}"} if num_streams else {}))
    return rows


def write_rows(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
