"""Records that cannot be scored become dead letters, and their neighbours are scored."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import InferenceEngine, Request, Result
from tests.factories.records import Record, text_record
from tests.unit.processing.scoring.reading import TEXTS, events, read, reasons
from worker.processing.scoring import Scorer
from worker.settings import load_settings


def test_dead_letters_keep_their_record_and_their_neighbours_are_scored(tiny_engine: InferenceEngine) -> None:
    bad = Record(1, b"a", b"\xff\xfe", headers=[("trace", b"1")])
    work = read(tiny_engine, [text_record(0, "a", "great"), bad, text_record(2, "a", "great")])
    (letter,) = [output for output in work.outputs if output.topic == "sentiment.deadletters"]
    assert (letter.key, letter.value, letter.headers[0]) == (b"a", b"\xff\xfe", ("trace", b"1"))
    assert reasons(work.outputs) == ["invalid_utf8"]
    assert [event["state"]["num_records"] for event in events(work)] == [1, 2]


@pytest.mark.parametrize("value", [b"\xff\xfe", b"{", b'{"text": 1}'])
def test_a_dead_letter_does_not_hold_its_micro_batch_until_the_garbage_collector_comes(
    tiny_engine: InferenceEngine, value: bytes
) -> None:
    scorer = Scorer(load_settings(), tiny_engine)

    def process() -> weakref.ref[Record]:
        records = [Record(0, b"a", value), text_record(1, "a", "great")]
        items = scorer.decode(records)
        assert items[0].error is not None
        return weakref.ref(records[1])

    gc.collect()
    gc.disable()
    try:
        assert process()() is None
    finally:
        gc.enable()


def test_a_text_of_which_nothing_is_left_is_a_dead_letter(tiny_engine: InferenceEngine) -> None:
    assert reasons(read(tiny_engine, [text_record(0, "a", "   ")]).outputs) == ["empty_text"]


class Allergic:
    """An engine that fails on any batch with the word `poison` in it, as a defect would."""

    def __init__(self, engine: InferenceEngine) -> None:
        self._engine = engine
        self.name, self.fingerprint, self.config = engine.name, engine.fingerprint, engine.config
        self.allergens = ("poison",)

    def has_words(self, text: str) -> bool:
        return self._engine.has_words(text)

    def score(self, requests: Sequence[Request]) -> list[Result]:
        if any(allergen in request.text for allergen in self.allergens for request in requests):
            raise ValueError("cannot read this")
        return self._engine.score(requests)


@given(poisoned=st.sets(st.integers(0, 11), max_size=6))
def test_poison_stands_alone_and_the_others_are_as_if_it_had_not_come(
    tiny_engine: InferenceEngine, poisoned: set[int]
) -> None:
    allergic: Any = Allergic(tiny_engine)
    names = ["a" if n % 3 else "b" for n in range(12)]
    records = [text_record(n, names[n], "poison" if n in poisoned else TEXTS[n % 5]) for n in range(12)]
    work = read(allergic, records, scorer=Scorer(load_settings(), allergic))
    clean = read(tiny_engine, [record for n, record in enumerate(records) if n not in poisoned])
    assert reasons(work.outputs) == ["poison"] * len(poisoned)
    assert [e["score"] for e in events(work)] == pytest.approx([e["score"] for e in events(clean)], abs=1e-5)
    assert [e["state"] for e in events(work)] == [e["state"] for e in events(clean)]


def test_an_engine_that_reads_nothing_at_all_is_no_fault_of_the_records(tiny_engine: InferenceEngine) -> None:
    broken: Any = Allergic(tiny_engine)
    broken.allergens = ("",)
    with pytest.raises(ValueError, match="cannot read this"):
        read(broken, [text_record(0, "a", "great")], scorer=Scorer(load_settings(), broken))
