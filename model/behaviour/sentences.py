"""Makes sentences from the templates of the grammar, in an order and with words that a seed fixes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import NamedTuple

from model.behaviour.grammar import ENGLISH, Half, Template, languages, read_half, slots_of

_MAX_TRIES = 4  # at a new sentence, for each that is asked for: a template without slots has only one


class Sentence(NamedTuple):
    """A text with its label and kind.

    Sentences of one `group` differ only in what is contrasted or exchanged. `member`: the group of words that the
    exchanged word is of.
    """

    text: str
    label: str
    kind: str
    language: str
    group: str
    member: str = ""


def make_sentences(
    half: str, seed: int, *, num_fillings: int, of_languages: Sequence[str] | None = None
) -> Iterator[Sentence]:
    """The sentences of a half: every template, filled with up to `num_fillings` different choices of words.

    An exchange is made of every word, once. No text occurs twice, whatever its template. `of_languages`: all, unless
    given.
    """
    labels: dict[str, str] = {}  # of the texts so far
    for language in languages() if of_languages is None else of_languages:
        rules = read_half(language, half)
        for number, template in enumerate(rules.templates):
            random = Random(f"{seed} {half} {language} {number}")
            filled = _exchange if template.exchanged else _fill
            for group in filled(template, rules, random, f"{language}-{number}", num_fillings):
                if all(labels.get(sentence.text, sentence.label) == sentence.label for sentence in group):
                    yield from (sentence for sentence in group if sentence.text not in labels)
                    labels |= {sentence.text: sentence.label for sentence in group}


def _fill(template: Template, rules: Half, random: Random, name: str, num_fillings: int) -> Iterator[list[Sentence]]:
    made: set[str] = set()
    for _ in range(_MAX_TRIES * num_fillings):
        words: dict[str, str] = {}
        texts = [(label, _written(template, text, rules, random, words)) for label, text in template.alternatives]
        if texts[0][1] not in made:
            group = f"{name}-{len(made)}"
            yield [Sentence(text, label, template.kind, template.language, group) for label, text in texts]
            made.add(texts[0][1])
        if len(made) == num_fillings:
            return


def _exchange(template: Template, rules: Half, random: Random, name: str, _: int) -> Iterator[list[Sentence]]:
    exchanged = template.exchanged
    assert exchanged is not None  # _fill is for the other templates
    others: dict[str, str] = {}
    _filled(template.alternatives[0][1], rules, random, others)
    sentences = []
    for member, values in rules.slots[exchanged].items():
        for value in values:
            words = others | {exchanged: value}
            for label, text in template.alternatives:
                written = _written(template, text, rules, random, words)
                sentences.append(Sentence(written, label, template.kind, template.language, name, member))
    yield sentences


def _written(template: Template, text: str, rules: Half, random: Random, words: dict[str, str]) -> str:
    """The filled text, in English with the article that its next word asks for."""
    filled = _filled(text, rules, random, words)
    return re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", filled) if template.language == ENGLISH else filled


def _filled(text: str, rules: Half, random: Random, words: dict[str, str]) -> str:
    """The text with the words of its slots: those in `words`, else chosen, and then put there."""
    while slots := slots_of(text):
        for star, name, filters in slots:
            slot = name if name in rules.slots else name[0].lower() + name[1:]
            if slot not in words:
                words[slot] = random.choice(rules.words(slot))
            word = words[slot]
            for written in filters.split("|")[1:]:
                word = _FILTERS[written](word, random)
            word = word if slot == name else word[0].upper() + word[1:]
            text = text.replace(f"{{{star}{name}{filters}}}", word, 1)
    return text


def _elongated(word: str, random: Random) -> str:
    """The word with one of its vowels, or its last letter, three to eight times."""
    places = [place for place, char in enumerate(word) if char.lower() in "aeiou"] + [len(word) - 1]
    place = random.choice(places)
    return word[:place] + word[place] * random.randint(3, 8) + word[place + 1 :]


_FILTERS: Mapping[str, Callable[[str, Random], str]] = {
    "upper": lambda word, random: word.upper(),
    "long": _elongated,
    "joined": lambda word, random: re.sub(r"\W", "", word).lower(),
    "camel": lambda word, random: re.sub(r"\W", "", word.title()),
    "repeated": lambda word, random: word * random.randint(3, 4),
}
