"""The training half, as a corpus."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

from model import read_examples, write_behaviour_corpus
from model.behaviour.corpus import STREAM_OF_MOOD, training_streams
from model.behaviour.grammar import TRAINING
from model.behaviour.sentences import make_sentences


def test_the_corpus_is_read_as_any_other_and_its_bytes_are_fixed_by_the_seed(tmp_path: Path) -> None:
    packed, again, plain = (tmp_path / name for name in ("a.jsonl.gz", "b.jsonl.gz", "c.jsonl"))
    num_written = [write_behaviour_corpus(path, seed=2, num_fillings=3) for path in (packed, again, plain)]
    assert packed.read_bytes() == again.read_bytes()
    assert gzip.decompress(packed.read_bytes()) == plain.read_bytes()
    examples = read_examples(packed)
    assert num_written == [len(examples)] * 3
    assert {example.label for example in examples} == {0, 1, 2}
    assert all(example.stream and example.kind for example in examples)
    row = json.loads(plain.read_text(encoding="utf-8").splitlines()[0])
    assert row.keys() == {"id", "text", "label", "stream", "kind", "language", "group"}


def test_a_stream_has_one_language_and_a_mood_before_it_turns() -> None:
    streams: dict[str, list[tuple[str, str]]] = {}
    for stream, sentence in training_streams(seed=1, num_fillings=5):
        streams.setdefault(stream, []).append((sentence.language, sentence.label))
    assert all(len({language for language, _ in texts}) == 1 for texts in streams.values())
    whole = [[label for _, label in texts] for texts in streams.values() if len(texts) == STREAM_OF_MOOD + 4]
    assert len(whole) > 100
    assert all(len(set(labels[:STREAM_OF_MOOD])) == 1 for labels in whole)
    assert all(Counter(labels)[labels[0]] == STREAM_OF_MOOD for labels in whole)


def test_no_sentence_is_lost_between_streams() -> None:
    made = Counter((each.kind, each.label, each.group) for each in make_sentences(TRAINING, 1, num_fillings=4))
    in_streams = Counter((each.kind, each.label, each.group) for _, each in training_streams(seed=1, num_fillings=4))
    assert in_streams == made
