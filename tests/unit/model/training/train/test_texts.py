"""The texts that a training reads: kept apart from those held out, cut into sentences, and varied."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.data.corpora import Example
from model.data.splits import split_corpora
from model.errors import DataError
from model.text.tokenizer import Tokenizer
from model.training.batches import encode_labelled
from model.training.distillation.augmentation import sentences, variants
from tests.unit.model.training.train.tiny_runs import CONFIG


def test_what_is_held_out_is_in_no_other_part() -> None:
    films = [Example(f"{i}", f"text {i}", 2 * (i % 2), f"film {i % 100}") for i in range(1000)]
    unlabelled = [Example(f"u{i}", f"unlabelled {i}", None, f"film {i % 100}") for i in range(500)]
    tweets = [Example(f"t{i}", f"tweet {i}", i % 3) for i in range(400)]
    topics = [
        Example(f"t{i}", f"Tweet {i}! https://t.co/{i}", 2 * (i % 2), f"topic {i % 20}", "dev" if i < 20 else "train")
        for i in range(200)
    ]
    corpora = {
        "imdb": films,
        "imdb_unlabelled": unlabelled,
        "semeval": tweets,
        "sst2": [Example(f"s{i}", f"sentence {i}", 2 * (i % 2)) for i in range(100)],
        "airlines": [Example(f"a{i}", f"flight {i}", i % 3) for i in range(100)],
        "topics_2point": topics,
        "topics_5point": [],
    }

    splits = split_corpora(corpora, CONFIG)

    def streams(examples: list[Example]) -> set[str | None]:
        return {example.stream for example in examples}

    def ids(examples: list[Example]) -> set[str]:
        return {example.id for example in examples}

    assert not streams(splits.labelled["imdb"]) & streams(splits.held["imdb"])
    dev = streams(films) - streams(splits.labelled["imdb"]) - streams(splits.held["imdb"])
    assert len(dev) > 5
    assert not {e.text for e in films + unlabelled if e.stream in dev} & set(chain(*splits.all_texts.values()))
    for name in ("sst2", "semeval"):
        assert splits.held[name]
        assert not ids(splits.labelled[name]) & ids(splits.held[name])
    # a tweet of a topic is known by its words alone, however it is written there
    dev_topics = {f"t{i}" for i in range(20)}
    assert not dev_topics & ids(splits.topics)
    assert 0 < len(streams(splits.topics)) < len(streams(topics))
    assert ids(splits.topics) <= ids(splits.held["semeval"])
    assert dev_topics <= ids(splits.held["semeval"])
    assert ids(topics) & ids(splits.labelled["semeval"])
    assert ids(splits.labelled["airlines"]) == {f"a{i}" for i in range(70)}


def test_sentences_are_cut_at_their_ends_and_listed_once() -> None:
    reviews = ["A fine film. I was moved! So (he said) was I.<br />No.", "A fine film.  Is it a film?\nYes it is"]
    found = sentences(reviews, max_sentences=10, seed=1)
    assert sorted(found) == ["A fine film.", "I was moved!", "Is it a film?", "So (he said) was I.", "Yes it is"]
    assert len(sentences(reviews, max_sentences=2, seed=1)) == 2


@given(st.lists(st.sampled_from(["good", "bad", "film", "the", "."]), min_size=1, max_size=12), st.integers(0, 9))
def test_a_variant_has_words_of_its_text_in_their_order(words: list[str], seed: int) -> None:
    for variant in variants([" ".join(words)], 3, seed):
        left = iter(words)
        assert variant
        assert all(word in left for word in variant.split())


def test_a_corpus_without_a_word_in_it_is_named() -> None:
    examples = [Example("a", " ", 0), Example("b", "\u200b", 2)]
    with pytest.raises(DataError, match="sst2: there is no text with a word in it"):
        encode_labelled("sst2", examples, Tokenizer(["good"], num_buckets=1), max_tokens=10)
