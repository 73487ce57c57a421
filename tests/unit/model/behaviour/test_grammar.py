"""The two halves of the grammar: what they share, and what a line of it may say."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from model import LABELS, DataError
from model.behaviour.grammar import HALVES, JUDGING, TRAINING, languages, parse_half, read_half, slots_of
from model.behaviour.sentences import make_sentences

LANGUAGES = ["en", "ar", "de", "es", "fr", "hi", "id", "it", "ja", "ko", "no", "pt", "ru", "th", "zh"]
ENDS = " .,!?\u3002"


def as_read(text: str) -> str:
    """The text without case and the punctuation at its ends."""
    return text.lower().strip(ENDS) or text


def test_the_grammar_has_every_language() -> None:
    assert languages() == LANGUAGES


def test_no_judging_sentence_occurs_in_the_training_half() -> None:
    trained = {as_read(sentence.text) for sentence in make_sentences(TRAINING, 1, num_fillings=40)}
    judged = {sentence.text for sentence in make_sentences(JUDGING, 0, num_fillings=40)}
    assert not {text for text in judged if as_read(text) in trained}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_halves_share_no_template_and_no_word_beside_closed_classes(language: str) -> None:
    training, judging = (read_half(language, half) for half in HALVES)
    templates = [
        {
            re.sub(r"\W", "", re.sub(r"\{.*?\}", "", text))
            for template in half.templates
            for _, text in template.alternatives
        }
        for half in (training, judging)
    ]
    assert templates[0] & templates[1] <= {""}, "only a template without words of its own, since its slots differ"
    shared = set(training.slots.keys() & judging.slots.keys()) - read_closed(language)
    assert {slot: common for slot in shared if (common := {*training.words(slot)} & {*judging.words(slot)})} == {}


def read_closed(language: str) -> set[str]:
    """The slots of [both]: a half that no section names has nothing else."""
    return set(read_half(language, "neither").slots)


@pytest.mark.parametrize("half", HALVES)
def test_every_slot_has_words_and_every_text_all_of_its_slots_filled(half: str) -> None:
    sentences = list(make_sentences(half, 3, num_fillings=5))
    assert not [sentence for sentence in sentences if "{" in sentence.text or "|" in sentence.text]
    assert {sentence.language for sentence in sentences} == set(LANGUAGES)
    assert {sentence.label for sentence in sentences} == set(LABELS)


def test_a_seed_fixes_every_sentence_and_none_occurs_twice() -> None:
    first, again, other = (list(make_sentences(TRAINING, seed, num_fillings=5)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert Counter(sentence.text for sentence in first).most_common(1)[0][1] == 1


def test_only_english_articles_follow_the_next_word() -> None:
    found = {"en": 0, "pt": 0, "fr": 0}
    for sentence in make_sentences(JUDGING, 0, num_fillings=2, of_languages=[*found]):
        found[sentence.language] += len(re.findall(r"\b[Aa]n \w", sentence.text))
    assert found.pop("en") > 0
    assert found == {"pt": 0, "fr": 0}


def test_a_contrast_has_both_labels_and_the_same_words() -> None:
    groups: dict[str, list[str]] = {}
    for sentence in make_sentences(JUDGING, 0, num_fillings=4):
        if sentence.kind == "then_and_now" and sentence.language == "en":
            groups.setdefault(sentence.group, []).append(sentence.label)
    whole = [sorted(labels) for labels in groups.values() if len(labels) > 1]
    assert len(whole) > 20
    assert len(groups) - len(whole) < 3, "a text that another contrast has already is not made again"
    assert all(labels == ["negative", "positive"] for labels in whole)


def test_an_exchange_has_the_same_sentence_with_every_word() -> None:
    sentences = [sentence for sentence in make_sentences(JUDGING, 0, num_fillings=1) if sentence.kind == "identities"]
    words = {group: len(words) for group, words in read_half("en", JUDGING).slots["identity"].items()}
    num_templates = len({sentence.group for sentence in sentences})
    assert Counter(sentence.member for sentence in sentences) == {
        group: count * num_templates for group, count in words.items()
    }
    assert {sentence.label for sentence in sentences} == {"neutral"}


def test_a_line_says_what_it_is() -> None:
    grammar = (
        "[training]\ngood = fine | nice\nname/x = A\nname/y = B\nkind: k\n+ {Good} // - bad {*name}\n[both]\nn = 1"
    )
    half = parse_half({"f.txt": grammar}, "en", TRAINING)
    assert half.words("good") == ("fine", "nice")
    assert half.slots["name"] == {"x": ("A",), "y": ("B",)}
    assert half.words("n") == ("1",)
    [template] = half.templates
    assert template.alternatives == (("positive", "{Good}"), ("negative", "bad {*name}"))
    assert template.exchanged == "name"
    assert slots_of("{a|upper} {*b}") == [("", "a", "|upper"), ("*", "b", "")]
    assert parse_half({"f.txt": grammar}, "en", JUDGING).templates == []


@pytest.mark.parametrize("line", ["+ no kind yet", "kind: k\n+ good // bad", "what is this"])
def test_a_line_that_is_neither_slot_nor_template_is_named(line: str) -> None:
    with pytest.raises(DataError, match=r"f.txt, line \d: neither a slot nor a template"):
        parse_half({"f.txt": f"[training]\n{line}"}, "en", TRAINING)


def test_a_slot_without_words_is_named() -> None:
    with pytest.raises(DataError, match="no slot 'nowhere'"):
        parse_half({}, "en", TRAINING).words("nowhere")
