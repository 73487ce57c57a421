"""A small grammar of English phrases with known sentiment, for simulated feeds and for tests of networks.

The sentiment of a phrase follows from its construction. A good word, a bad word under a negation ("not slow at all",
"no complaints about the crew") and a mild complaint outweighed after "but" are positive; their mirror images are
negative; facts and questions without a judgement are neutral. All draws come from the given generator, so a seed fixes
every phrase.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from model.config import LABELS

NEGATIVE, NEUTRAL, POSITIVE = LABELS
NEGATED_SHARE, CONTRAST_SHARE, TAIL_SHARE = 0.25, 0.15, 0.35  # of the phrases with a judgement


class Phrase(NamedTuple):
    """A text, its label, and whether a negation reverses its words."""

    text: str
    label: str
    negated: bool = False


class Thing(NamedTuple):
    """Something that people judge, and the words that fit it."""

    name: str
    good: tuple[str, ...]
    bad: tuple[str, ...]


class Domain(NamedTuple):
    """Things that belong together, a noun for the whole, and facts about it, which may contain the slots of SLOTS."""

    noun: str
    things: tuple[Thing, ...]
    facts: tuple[str, ...]


GOOD = ("great", "excellent", "wonderful", "lovely", "fantastic", "amazing", "perfect", "brilliant")
BAD = ("terrible", "awful", "horrible", "bad", "disappointing", "dreadful", "miserable", "pathetic")
INTENSIFIERS = ("", "", "", "very ", "really ", "so ", "absolutely ", "incredibly ", "truly ")
NEGATION_CUES = ("not ", "n't ", "no ", "nothing ", "never ", "anything but ", "far from ", "hardly ")

PLAIN = {
    POSITIVE: (
        "{thing} was {very}{good}",
        "{thing} is {very}{good}",
        "{very}{good}, {thing}",
        "I {really}loved {thing}",
        "I {really}enjoyed {thing}, {good}",
        "{good} {noun}, thanks to {thing}",
        "what a {good} {noun}",
        "{very}happy with {thing}",
    ),
    NEGATIVE: (
        "{thing} was {very}{bad}",
        "{thing} is {very}{bad}",
        "{very}{bad}, {thing}",
        "I {really}hated {thing}",
        "{thing} ruined it for us, {bad}",
        "{bad} {noun} because of {thing}",
        "what a {bad} {noun}",
        "{very}unhappy with {thing}",
    ),
}
NEGATED = {
    POSITIVE: (
        "{thing} was not {bad} at all",
        "{thing} wasn't {bad}, we liked it",
        "no complaints about {thing}",
        "nothing {bad} about {thing}, I liked it",
        "{thing} was never {bad}",
        "{thing} was anything but {bad}",
    ),
    NEGATIVE: (
        "{thing} was not {good} at all",
        "{thing} wasn't {very}{good}",
        "I did not like {thing}",
        "I don't recommend {thing}, not {good}",
        "nothing {good} about {thing}",
        "{thing} was never {good}",
        "{thing} was far from {good}",
        "no {good} {noun}, hardly worth the money",
    ),
}
CONTRAST = {
    POSITIVE: "{thing} could be better, but {clause}",
    NEGATIVE: "{thing} was okay, but {clause}",
}
TAILS = {
    POSITIVE: ("thank you", "well done", "you made my day", "we will be back", "highly recommended", "love it"),
    NEGATIVE: ("never again", "what a waste of money", "I want my money back", "so angry", "shame on you", "avoid"),
}
SLOTS = {
    "number": tuple(str(number) for number in range(2, 60)),
    "gate": ("3", "11", "B7", "C22", "D14"),
    "time": ("6:40", "8:15", "9:30", "12:05", "14:20", "17:45", "21:10"),
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "city": ("Oslo", "Lisbon", "Vienna", "Chicago", "Nairobi", "Osaka", "Toronto", "Dublin"),
}
DOMAINS = {
    "airline": Domain(
        "flight",
        (
            Thing("the crew", ("friendly", "helpful", "kind"), ("rude", "unfriendly", "careless")),
            Thing("the flight", ("smooth", "comfortable", "on time"), ("delayed again", "bumpy", "a nightmare")),
            Thing("boarding", ("quick", "easy", "well organised"), ("chaotic", "slow", "a mess")),
            Thing("my seat", ("comfortable", "clean", "roomy"), ("broken", "dirty", "cramped")),
        ),
        (
            "flight {number} to {city} leaves from gate {gate} at {time}",
            "does anyone know when check-in opens on {day}",
            "I am flying to {city} on {day}",
            "we land in {city} at {time}, then change to flight {number}",
        ),
    ),
    "hotel": Domain(
        "stay",
        (
            Thing("the room", ("clean", "spacious", "quiet"), ("dirty", "tiny", "noisy")),
            Thing("the staff", ("friendly", "helpful", "attentive"), ("rude", "unhelpful", "lazy")),
            Thing("breakfast", ("delicious", "fresh", "tasty"), ("cold", "stale", "tasteless")),
        ),
        (
            "we are in room {number} until {day}",
            "what time does the pool open on {day}",
            "the hotel is {number} minutes from the station in {city}",
            "breakfast is from {time}, on the ground floor",
        ),
    ),
    "phone": Domain(
        "phone",
        (
            Thing("the camera", ("sharp", "impressive", "fast"), ("blurry", "slow", "broken")),
            Thing("the battery", ("reliable", "impressive", "strong"), ("weak", "dead by noon", "unreliable")),
            Thing("the new update", ("smooth", "fast", "useful"), ("buggy", "slow", "annoying")),
        ),
        (
            "the new model comes out on {day}",
            "which cable do I need for {number} watts",
            "it has {number} gigabytes of storage",
            "I am setting up the phone on {day} at {time}",
        ),
    ),
    "film": Domain(
        "film",
        (
            Thing("the plot", ("gripping", "clever", "moving"), ("boring", "predictable", "silly")),
            Thing("the acting", ("superb", "moving", "convincing"), ("wooden", "weak", "unconvincing")),
            Thing("the ending", ("beautiful", "satisfying", "touching"), ("stupid", "annoying", "a letdown")),
        ),
        (
            "the film starts at {time} on {day}",
            "the story is set in {city}",
            "it runs for one hour and {number} minutes",
            "two of the actors are from {city}",
        ),
    ),
    "shop": Domain(
        "purchase",
        (
            Thing("the delivery", ("fast", "on time", "careful"), ("late", "slow", "careless")),
            Thing("the quality", ("solid", "impressive", "outstanding"), ("poor", "cheap", "shoddy")),
            Thing("customer service", ("helpful", "friendly", "quick"), ("rude", "unhelpful", "slow")),
        ),
        (
            "the parcel is in {city} and arrives on {day}",
            "I ordered {number} of them on {day}",
            "is it open on {day} after {time}",
            "the receipt says {time}, order number {number}",
        ),
    ),
}


class PhraseGrammar:
    """Draws phrases and reviews of one domain (a key of DOMAINS)."""

    def __init__(self, random: Random, domain: str) -> None:
        self._random = random
        self._domain = DOMAINS[domain]

    def phrase(self, label: str) -> Phrase:
        """One short text with the given label, without a full stop."""
        if label == NEUTRAL:
            return Phrase(self._fact(), NEUTRAL)
        negated = self._random.random() < NEGATED_SHARE
        thing, other = self._random.sample(self._domain.things, 2)
        text = self._clause(label, negated, thing)
        form = self._random.random()
        if form < CONTRAST_SHARE:
            text = CONTRAST[label].format(thing=other.name, clause=text)
        elif form < CONTRAST_SHARE + TAIL_SHARE:
            text = f"{text}, {self._random.choice(TAILS[label])}"
        return Phrase(text, label, negated)

    def review(self, label: str, num_sentences: int) -> list[str]:
        """Sentences of one review: at most one fact, the rest with the given label; a neutral review has only facts."""
        moods = [label] * num_sentences
        if num_sentences > 2 and self._random.random() < 0.5:
            moods[self._random.randrange(num_sentences - 1)] = NEUTRAL
        return [_sentence(self.phrase(mood).text) for mood in moods]

    def _clause(self, label: str, negated: bool, thing: Thing) -> str:
        template = self._random.choice((NEGATED if negated else PLAIN)[label])
        # an adjective before the domain's noun must fit every noun
        of_thing = "{thing}" in template and "{noun}" not in template
        clause = template.format(
            thing=thing.name,
            noun=self._domain.noun,
            good=self._random.choice(thing.good + GOOD if of_thing else GOOD),
            bad=self._random.choice(thing.bad + BAD if of_thing else BAD),
            very=self._random.choice(INTENSIFIERS),
            really=self._random.choice(("", "really ")),
        )
        return re.sub(r"\ba (?=[aeiou])", "an ", clause)

    def _fact(self) -> str:
        slots = {name: self._random.choice(values) for name, values in SLOTS.items()}
        return self._random.choice(self._domain.facts).format(**slots)


def make_phrases(seed: int, num_phrases: int) -> Iterator[Phrase]:
    """`num_phrases` phrases, each with a domain and a label drawn uniformly."""
    random = Random(seed)
    grammars = [PhraseGrammar(random, domain) for domain in DOMAINS]
    for _ in range(num_phrases):
        yield random.choice(grammars).phrase(random.choice(LABELS))


def _sentence(text: str) -> str:
    question = text.startswith(("does ", "what time ", "which ", "is "))
    return f"{text[0].upper()}{text[1:]}{'?' if question else '.'}"
