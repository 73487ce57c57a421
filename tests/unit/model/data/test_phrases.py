from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.data.phrases import (
    BAD,
    DOMAINS,
    GOOD,
    LABELS,
    NEGATION_CUES,
    NEGATIVE,
    NEUTRAL,
    POSITIVE,
    TAILS,
    Phrase,
    PhraseGrammar,
    make_phrases,
)

GOOD_WORDS = {*GOOD, "loved", "enjoyed", "happy", *(w for d in DOMAINS.values() for t in d.things for w in t.good)}
BAD_WORDS = {*BAD, "hated", "ruined", "unhappy", *(w for d in DOMAINS.values() for t in d.things for w in t.bad)}

seeds = st.integers(0, 2**32)


def has_any(text: str, words: set[str]) -> bool:
    return any(f" {word} " in f" {text.replace(',', ' ')} " for word in words)


def judgement(phrase: Phrase) -> str:
    """The phrase without its tail and without the concession before "but"."""
    text = phrase.text.split(", but ")[-1]
    for tail in TAILS.get(phrase.label, ()):
        text = text.removesuffix(f", {tail}")
    return text


@given(seeds)
def test_a_seed_fixes_every_phrase(seed: int) -> None:
    assert list(make_phrases(seed, 20)) == list(make_phrases(seed, 20))


def test_other_seeds_give_other_phrases() -> None:
    assert list(make_phrases(1, 20)) != list(make_phrases(2, 20))


@given(seeds)
def test_without_a_negation_the_words_have_the_sentiment_of_the_label(seed: int) -> None:
    for phrase in make_phrases(seed, 30):
        if not phrase.negated:
            text = judgement(phrase)
            assert has_any(text, GOOD_WORDS) == (phrase.label == POSITIVE), phrase
            assert has_any(text, BAD_WORDS) == (phrase.label == NEGATIVE), phrase
            assert not any(cue in f"{text} " for cue in NEGATION_CUES), phrase


@given(seeds)
def test_a_negated_phrase_has_a_negation_and_no_plain_word_of_its_label(seed: int) -> None:
    for phrase in make_phrases(seed, 30):
        if phrase.negated:
            text = judgement(phrase)
            assert any(cue in text for cue in NEGATION_CUES), phrase
            assert not has_any(text, GOOD_WORDS if phrase.label == POSITIVE else BAD_WORDS), phrase


def test_all_labels_domains_negations_and_intensifiers_occur() -> None:
    phrases = list(make_phrases(0, 3000))
    shares = Counter(phrase.label for phrase in phrases)
    assert all(800 < shares[label] < 1200 for label in LABELS)
    assert all(
        sum(phrase.negated for phrase in phrases if phrase.label == label) > 100 for label in (POSITIVE, NEGATIVE)
    )
    texts = " ".join(phrase.text for phrase in phrases)
    assert all(domain.things[0].name in texts for domain in DOMAINS.values())
    assert all(word in texts for word in ("incredibly ", "really ", ", but ", "thank you"))
    assert len({phrase.text for phrase in phrases}) > 2000


@given(seeds)
def test_no_template_is_left_unfilled_and_articles_fit(seed: int) -> None:
    for phrase in make_phrases(seed, 30):
        assert phrase.text.isprintable()
        assert "{" not in phrase.text
        assert "  " not in phrase.text
        assert not any(f" a {vowel}" in phrase.text for vowel in "aeiou")


@pytest.mark.parametrize("label", LABELS)
@given(seeds, st.sampled_from(sorted(DOMAINS)), st.integers(1, 8))
def test_a_review_has_as_many_sentences_as_asked_and_ends_on_its_mood(
    label: str, seed: int, domain: str, num_sentences: int
) -> None:
    sentences = PhraseGrammar(Random(seed), domain).review(label, num_sentences)
    assert len(sentences) == num_sentences
    assert all(sentence[0].isupper() or sentence[0].isdigit() for sentence in sentences)
    assert all(sentence[-1] in ".?" for sentence in sentences)
    if label == NEUTRAL:
        assert not any(has_any(sentence.lower().rstrip(".?"), GOOD_WORDS | BAD_WORDS) for sentence in sentences)
