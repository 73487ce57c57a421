"""The network as a Python program uses it."""

from __future__ import annotations

import itertools
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model import InferenceEngine, Result, Sentiment, StateError, load
from model import sentiment as sentiment_module

TEXT = "It was not bad at all, really good"


@pytest.fixture(scope="module")
def sentiment(engine: InferenceEngine) -> Sentiment:
    return Sentiment(engine)


def numbers(result: Result) -> tuple[float, ...]:
    return result.probabilities


def test_texts_are_scored_each_by_itself_and_in_order(sentiment: Sentiment) -> None:
    texts = ["good", "bad", TEXT]
    together = sentiment.score(iter(texts))
    assert [numbers(one) for one in together] == [numbers(sentiment.score([text])[0]) for text in texts]
    assert sentiment.score([]) == []


def test_a_stream_remembers_what_it_has_read(sentiment: Sentiment) -> None:
    stream = sentiment.stream()
    alone = stream.read(TEXT)
    assert numbers(alone) == numbers(sentiment.score([TEXT])[0])
    assert numbers(stream.read(TEXT)) != numbers(alone)
    assert stream.num_texts == 2


@settings(max_examples=30)
@given(cuts=st.lists(st.integers(0, len(TEXT)), max_size=5))
def test_a_text_in_pieces_ends_with_the_result_of_the_whole(sentiment: Sentiment, cuts: list[int]) -> None:
    whole, pieces = sentiment.stream(), sentiment.stream()
    bounds = [0, *sorted(cuts), len(TEXT)]
    for begin, end in itertools.pairwise(bounds):
        pieces.feed(TEXT[begin:end])
    # The mean's term of the logits is summed token by token; a piece begins with that of its state, rounded otherwise.
    assert numbers(pieces.end()) == pytest.approx(numbers(whole.read(TEXT)), abs=1e-7)
    assert pieces.state == whole.state


def test_a_stream_goes_on_from_its_state_in_the_middle_of_a_text(sentiment: Sentiment) -> None:
    first = sentiment.stream()
    first.read("bad")
    first.feed("It was not b")
    second = sentiment.stream(first.state)
    assert second.num_texts == 1
    assert numbers(second.read("ad at all")) == numbers(first.read("ad at all"))


def test_a_state_of_another_network_is_refused(sentiment: Sentiment, checkpoint: Path) -> None:
    with pytest.raises(StateError, match="fingerprint"):
        load(checkpoint, precision="int8").stream(sentiment.stream().state)


def test_the_example_in_the_documentation_runs() -> None:
    assert sentiment_module.__doc__ is not None
    _, example = sentiment_module.__doc__.split("\n", 1)
    names: dict[str, object] = {}
    exec(dedent(example), names)  # Python 3.13 has dedented it
    assert isinstance(names["sentiment"], Sentiment)
