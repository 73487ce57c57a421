"""The training half as a corpus: JSON lines with labels, and streams whose mood turns at their end."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from random import Random

from model.behaviour.grammar import TRAINING
from model.behaviour.sentences import Sentence, make_sentences
from model.config import LABELS

NUM_FILLINGS = 40
CASUAL_SHARE = 0.4  # of the sentences, which lose capitals or the full stop, as people write them
STREAM_OF_MOOD, STREAM_OF_OTHERS = 8, 2  # texts of a stream's mood, then of each other label


def write_behaviour_corpus(path: Path, *, seed: int = 1, num_fillings: int = NUM_FILLINGS) -> int:
    """Write the training half to `path`, gzipped if it ends in .gz; return the number of its sentences.

    Every line has `id`, `text`, `label`, `stream`, `kind`, `language` and `group` (of contrasted or exchanged
    sentences). Seed and number fix every byte.
    """
    rows = [
        {"id": f"grammar-{number}", "text": sentence.text, "label": sentence.label, "stream": stream}
        | {"kind": sentence.kind, "language": sentence.language, "group": sentence.group}
        for number, (stream, sentence) in enumerate(training_streams(seed=seed, num_fillings=num_fillings), start=1)
    ]
    content = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return len(rows)


def training_streams(*, seed: int, num_fillings: int = NUM_FILLINGS) -> Iterator[tuple[str, Sentence]]:
    """The sentences of the training half with their streams, stream after stream, each of one language."""
    random = Random(seed)
    by_language: dict[str, list[Sentence]] = {}
    for sentence in make_sentences(TRAINING, seed, num_fillings=num_fillings):
        by_language.setdefault(sentence.language, []).append(_as_people_write(sentence, random))
    for language, sentences in by_language.items():
        random.shuffle(sentences)
        for number, stream in enumerate(_streams(sentences, random)):
            yield from ((f"grammar-{language}-{number}", sentence) for sentence in stream)


def _as_people_write(sentence: Sentence, random: Random) -> Sentence:
    """The sentence, sometimes in lower case and without its full stop."""
    if sentence.kind == "capitals" or random.random() >= CASUAL_SHARE:
        return sentence
    text = re.sub(r"(?<=\w)[.。]$", "", sentence.text)
    return sentence._replace(text=text.lower() if random.random() < 0.5 else text)


def _streams(sentences: Iterable[Sentence], random: Random) -> Iterator[list[Sentence]]:
    """Streams that take the sentences, each once: some of one label, then a few of the others."""
    queues: dict[str, list[Sentence]] = {label: [] for label in LABELS}
    for sentence in sentences:
        queues[sentence.label].append(sentence)
    while left := [label for label in LABELS if queues[label]]:
        mood = random.choices(left, [len(queues[label]) for label in left])[0]
        stream = _taken(queues[mood], STREAM_OF_MOOD)
        others = [sentence for label in left if label != mood for sentence in _taken(queues[label], STREAM_OF_OTHERS)]
        random.shuffle(others)
        yield stream + others


def _taken(queue: list[Sentence], most: int) -> list[Sentence]:
    taken = list(islice(reversed(queue), most))
    del queue[len(queue) - len(taken) :]
    return taken
