"""Every line gets one answer, in order; the states of streams continue across batches."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import InferenceEngine, Request
from worker.settings import load_settings
from worker.tools import score_file
from worker.tools.score_file import LineScorer, RefusedLine, ScoredLine, encode_lines, read_lines

LINES = st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"")), max_size=8)


class Trickle(io.BytesIO):
    """A pipe that delivers a few bytes at a time."""

    def __init__(self, content: bytes, sizes: list[int]) -> None:
        super().__init__(content)
        self._sizes = iter(sizes)

    def read1(self, size: int | None = -1, /) -> bytes:
        return super().read1(min(size or 1, next(self._sizes, 1)))


@pytest.fixture
def make_scorer(tiny_engine: InferenceEngine) -> Callable[..., LineScorer]:
    return lambda **flags: LineScorer(load_settings(**flags), tiny_engine)


def line(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def scores(answers: list[ScoredLine | RefusedLine]) -> list[float]:
    return [answer.score for answer in answers if isinstance(answer, ScoredLine)]


@given(LINES, st.lists(st.integers(1, 9), max_size=30))
def test_lines_are_the_same_no_matter_how_slowly_they_arrive(lines: list[bytes], sizes: list[int]) -> None:
    content = b"".join(line + b"\n" for line in lines)
    read = [line for batch in read_lines(Trickle(content, sizes)) for line in batch]
    assert read == lines


def test_the_last_line_may_lack_its_line_end() -> None:
    assert list(read_lines(io.BytesIO(b"a\nb"))) == [[b"a"], [b"b"]]
    assert list(read_lines(io.BytesIO(b""))) == []


def test_an_endless_line_is_refused_in_bounded_memory(
    make_scorer: Callable[..., LineScorer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_file, "MAX_LINE_BYTES", 100)
    monkeypatch.setattr(score_file, "READ_BYTES", 10)
    batches = list(read_lines(io.BytesIO(b"x" * 1000 + b"\ngood")))
    assert max(len(line) for batch in batches for line in batch) <= 111
    refused, scored = make_scorer().score([line for batch in batches for line in batch])
    assert isinstance(refused, RefusedLine)
    assert refused.error.startswith("text_too_long")
    assert isinstance(scored, ScoredLine)


def test_every_line_has_its_answer_in_order(make_scorer: Callable[..., LineScorer]) -> None:
    scorer = make_scorer()
    lines = [
        b"good flight\r",
        line(id=7, stream="a", text="bad"),
        b"",
        b"caf\xe9",
        line(id="x"),
        b'{"text": "cut',
        b"a {",
    ]
    answers = scorer.score(lines)
    assert [answer.id for answer in answers] == ["1", "7", "3", "4", "5", "6", "7"]
    errors = [answer.error.partition(":")[0] if isinstance(answer, RefusedLine) else "" for answer in answers]
    assert errors == ["", "", "empty_text", "invalid_utf8", "no_text", "invalid_json", ""]
    assert (scorer.num_lines, scorer.num_refused) == (7, 4)


def test_an_answer_is_a_json_line_with_offsets_into_the_text(make_scorer: Callable[..., LineScorer]) -> None:
    text = "the flight was very good today"
    answer = json.loads(encode_lines(make_scorer().score([line(id="t", stream="acme", text=text)])))
    first, new = ["id", "stream", "label", "score", "probabilities", "words"], ["language", "known", "understood"]
    assert list(answer) == first + new
    assert (answer["id"], answer["stream"]) == ("t", "acme")
    assert answer["label"] == max(answer["probabilities"], key=answer["probabilities"].__getitem__)
    assert answer["score"] == pytest.approx(answer["probabilities"]["positive"] - answer["probabilities"]["negative"])
    assert answer["words"]
    assert all(text[word["start"] : word["end"]] == word["word"] for word in answer["words"])


def test_a_stream_continues_across_batches_as_in_one_pass(
    make_scorer: Callable[..., LineScorer], tiny_engine: InferenceEngine
) -> None:
    texts = ["good flight", "bad service", "i love it", "so sad"]
    lines = [line(stream="a", text=text) for text in texts]
    expected = [result.score for result in tiny_engine.score([Request("a", text) for text in texts])]
    assert scores(make_scorer().score(lines)) == pytest.approx(expected, abs=1e-6)
    one_by_one = make_scorer()
    assert [scores(one_by_one.score([part]))[0] for part in lines] == pytest.approx(expected, abs=1e-6)
    assert expected[1] != pytest.approx(scores(make_scorer().score([lines[1]]))[0], abs=1e-3)


def test_lines_without_a_stream_are_scored_on_their_own(make_scorer: Callable[..., LineScorer]) -> None:
    scorer = make_scorer()
    answers = scorer.score([b"good flight", b"good flight"]) + scorer.score([line(text="good flight")])
    assert len(set(scores(answers))) == 1
    assert [answer.stream for answer in answers if isinstance(answer, ScoredLine)] == [None] * 3


def test_without_carry_texts_are_independent_but_pieces_of_one_text_still_belong_together(tiny_checkpoint: Any) -> None:
    settings = load_settings(carry=False)
    scorer = LineScorer(settings, InferenceEngine.load(tiny_checkpoint, carry=False))
    whole, again = (scores(scorer.score([line(stream="a", text="good flight")]))[0] for _ in range(2))
    assert whole == again
    scorer.score([line(stream="a", text="good fl", final=False)])
    assert scores(scorer.score([line(stream="a", text="ight")]))[0] == pytest.approx(whole, abs=1e-6)


def test_the_last_piece_of_a_text_may_be_empty(make_scorer: Callable[..., LineScorer]) -> None:
    scorer = make_scorer()
    whole = scores(scorer.score([line(stream="a", text="good flight")]))
    first = scorer.score([line(stream="b", text="good flight", final=False)])
    last = scorer.score([line(stream="b", text="")])
    assert isinstance(first[0], ScoredLine)
    assert scores(last) == pytest.approx(whole, abs=1e-6)
    assert isinstance(scorer.score([line(stream="b", text="")])[0], RefusedLine)
