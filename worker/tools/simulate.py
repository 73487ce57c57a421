"""A simulated feed of tweets and reviews. The mood of each stream is known, so that demos and tests can check it.

A third of the streams turn once, from pleased to annoyed or the reverse, at a text that `Feed.turns` names; a third
drift slowly between pleased and mixed; a third are steady. A stream writes in one language. The seed determines every
record, including its time.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import accumulate
from math import pi, sin
from random import Random
from typing import Any, NamedTuple

import msgspec

from model import LABELS, PhraseGrammar, phrase_in
from worker.errors import Reason
from worker.records.codec import format_time

START_MS = 1_790_000_000_000  # the default start of a feed
ENGLISH = "en"
DRIFT_PERIOD_TEXTS = 1500
MIN_TEXTS_BEFORE_TURN, MAX_TEXTS_BEFORE_TURN = 40, 70
PIECES_SHARE = 0.2  # share of reviews that are sent in pieces

Shares = tuple[float, float, float]  # the share of texts of each label, in the order of LABELS
PLEASED, MIXED, ANNOYED = (0.05, 0.15, 0.80), (0.30, 0.40, 0.30), (0.80, 0.15, 0.05)

EMOJI = {"negative": "😡👎💔🙄😤", "neutral": "🕑📍🧾📦", "positive": "😍🎉👍😊💛"}
HASHTAGS = {
    "negative": ("fail", "neveragain"),
    "neutral": ("info", "help"),
    "positive": ("love", "yay"),
}
BRAND_STARTS, BRAND_ENDS = (
    ("nor", "tel", "ava", "bri", "sol", "kin", "ora", "ful"),
    ("via", "umo", "dex", "ando", "ista"),
)


class Kind(StrEnum):
    """How the mood of a stream changes over time."""

    TURNING = "turning"
    STEADY = "steady"
    DRIFTING = "drifting"


class FeedRecord(NamedTuple):
    """One record to send. `label` is the intended sentiment; `reason` is why the worker refuses the record, or None."""

    topic: str
    key: bytes | None
    value: bytes
    timestamp_ms: int
    label: str | None = None
    reason: Reason | None = None


class Turn(NamedTuple):
    """A turn of a stream's mood, after `num_texts` texts; `record_id` is the id of the first text after it."""

    topic: str
    stream: str
    num_texts: int
    record_id: str
    from_label: str
    to_label: str


class _Stream:
    """One account or product: generates the texts about it, with a mood of the given kind."""

    def __init__(self, seed: int, index: int, topic: str, *, reviews: bool, language: str) -> None:
        self.random = Random(f"{seed}:{index}")
        self.kind = tuple(Kind)[index % len(Kind)]
        self.topic, self.reviews, self.language = topic, reviews, language
        domain = self.random.choice(("film", "hotel") if reviews else ("airline", "phone", "shop"))
        self.name = f"{_brand(index)} {domain}" if reviews else f"@{_brand(index)}"
        self.domain = domain
        self.grammar = PhraseGrammar(self.random, domain)
        self.before, self.after = self.random.sample((PLEASED, ANNOYED), 2)
        self.turn_at = self.random.randint(MIN_TEXTS_BEFORE_TURN, MAX_TEXTS_BEFORE_TURN)
        self.num_texts = 0
        self.pieces: deque[tuple[dict[str, Any], str]] = deque()

    def next_record(self) -> tuple[dict[str, Any], str]:
        """The fields of the next record, without its time, and the label of its text."""
        if not self.pieces:
            label = self.random.choices(LABELS, self._shares())[0]
            fields = {"id": f"{self.name}#{self.num_texts}", "stream": self.name}
            for text, final in self._texts(label):
                self.pieces.append((fields | {"text": text} | ({} if final else {"final": False}), label))
            self.num_texts += 1
        return self.pieces.popleft()

    def turn(self) -> Turn:
        """The turn of this stream; only for streams of the kind TURNING."""
        from_label, to_label = (LABELS[shares.index(max(shares))] for shares in (self.before, self.after))
        return Turn(self.topic, self.name, self.turn_at, f"{self.name}#{self.turn_at}", from_label, to_label)

    def _shares(self) -> Shares:
        if self.kind == Kind.TURNING:
            return self.before if self.num_texts < self.turn_at else self.after
        if self.kind == Kind.STEADY:
            return self.before
        pleased = 0.5 + 0.5 * sin(2 * pi * self.num_texts / DRIFT_PERIOD_TEXTS)
        low, middle, high = (pleased * p + (1 - pleased) * m for p, m in zip(PLEASED, MIXED, strict=True))
        return low, middle, high

    def _texts(self, label: str) -> list[tuple[str, bool]]:
        """A tweet, a review, or a review in pieces: each text, and whether it is the last piece."""
        if not self.reviews:
            return [(self._tweet(label), True)]
        sentences = self.grammar.review(label, self.random.randint(2, 6))
        if self.random.random() >= PIECES_SHARE:
            return [(" ".join(sentences), True)]
        return [(f"{sentence} ", False) for sentence in sentences[:-1]] + [(sentences[-1], True)]

    def _tweet(self, label: str) -> str:
        """A phrase with the noise of real tweets: mentions, hashtags, emoji, links, drawn-out vowels."""
        random = self.random
        is_english = self.language == ENGLISH
        text = self.grammar.phrase(label).text if is_english else phrase_in(self.language, label, random)
        if is_english and random.random() < 0.15:
            text = _elongate(random, text)
        if random.random() < 0.10:
            text = text.upper()
        parts = [text + random.choice(("", "", ".", "!", "!!"))]
        if random.random() < 0.6:
            parts.insert(random.choice((0, len(parts))), self.name)
        if random.random() < 0.1:
            parts.insert(0, f"@user_{random.randrange(1000)}")
        if random.random() < 0.25:
            parts.append(f"#{random.choice((*HASHTAGS[label], self.domain))}")
        if random.random() < 0.35:
            parts.append(random.choice(EMOJI[label]) * random.choice((1, 1, 3)))
        if random.random() < 0.15:
            parts.append(f"https://example.com/{random.getrandbits(32):08x}")
        return " ".join(parts)


class Feed:
    """An endless iterable of FeedRecords. Each iteration starts from the beginning.

    rate: records per second of event time. topics: the topic of the tweets and that of the reviews. poison_share: share
    of records that the worker must refuse, for every reason that a record itself can give; max_text_bytes: the limit
    that its overlong texts exceed. languages: of the accounts that tweet; every second writes in another one than
    English. Reviews are in English.
    """

    def __init__(  # noqa: PLR0913 - all but the seed have a default
        self,
        seed: int,
        *,
        num_streams: int = 24,
        rate: float = 300.0,
        topics: tuple[str, str] = ("tweets", "reviews"),
        start_ms: int = START_MS,
        poison_share: float = 0.0,
        max_text_bytes: int = 64 << 10,
        languages: Sequence[str] = (ENGLISH,),
    ) -> None:
        self._seed, self._num_streams, self._topics = seed, num_streams, topics
        self._start_ms, self._interval_ms = start_ms, 1000 / rate
        self._poison_share, self._max_text_bytes = poison_share, max_text_bytes
        self._others = [language for language in languages if language != ENGLISH]
        streams = self._make_streams()
        self.kinds: dict[str, Kind] = {stream.name: stream.kind for stream in streams}
        self.turns: tuple[Turn, ...] = tuple(stream.turn() for stream in streams if stream.kind == Kind.TURNING)

    def __iter__(self) -> Iterator[FeedRecord]:
        random = Random(self._seed)
        streams = self._make_streams()
        cumulated_activity = list(accumulate(1 + index % 2 for index in range(len(streams))))
        num_records = 0
        while True:
            stream = random.choices(streams, cum_weights=cumulated_activity)[0]
            time_ms = self._start_ms + round(num_records * self._interval_ms)
            if random.random() < self._poison_share and not stream.pieces:
                yield _poison(random.choice(POISONS), stream, time_ms, self._max_text_bytes)
            else:
                fields, label = stream.next_record()
                value = msgspec.json.encode(fields | {"time": format_time(time_ms)})
                yield FeedRecord(stream.topic, stream.name.encode(), value, time_ms, label)
            num_records += 1

    def _make_streams(self) -> Sequence[_Stream]:
        """Kinds take turns; after two rounds of tweet streams comes one of review streams."""
        reviews = [index // len(Kind) % 3 == 2 for index in range(self._num_streams)]
        return [
            _Stream(self._seed, index, self._topics[is_review], reviews=is_review, language=self._language(index))
            for index, is_review in enumerate(reviews)
        ]

    def _language(self, index: int) -> str:
        """English for even indices, for odd ones the other languages in turn."""
        return self._others[index // 2 % len(self._others)] if self._others and index % 2 else ENGLISH


_NOT_SIMULATED = {
    Reason.POISON,
    Reason.ABSURD_TIME,
    Reason.EVENT_TOO_LARGE,
    Reason.UNKNOWN_SCHEMA,
    Reason.SCHEMA_MISMATCH,
    Reason.NOT_UNDERSTOOD,
}
POISONS = tuple(reason for reason in Reason if reason not in _NOT_SIMULATED)


def _poison(reason: Reason, stream: _Stream, time_ms: int, max_text_bytes: int) -> FeedRecord:
    """A record that the worker refuses for `reason`."""
    good = {"text": "fine", "time": format_time(time_ms)}
    value = {
        Reason.INVALID_UTF8: b'{"text": "caf\xe9"}',
        Reason.INVALID_JSON: b'{"text": "cut of',
        Reason.WRONG_TYPE: msgspec.json.encode(good | {"text": 5}),
        Reason.NO_TEXT: msgspec.json.encode({"time": good["time"]}),
        Reason.EMPTY_TEXT: msgspec.json.encode(good | {"text": " "}),
        Reason.TEXT_TOO_LONG: msgspec.json.encode(good | {"text": "long " * (max_text_bytes // 5 + 1)}),
        Reason.NO_STREAM: msgspec.json.encode(good),
    }[reason]
    key = None if reason == Reason.NO_STREAM else stream.name.encode()
    return FeedRecord(stream.topic, key, value, time_ms, reason=reason)


def _brand(index: int) -> str:
    """A brand name, different for every index."""
    rounds, place = divmod(index, len(BRAND_STARTS) * len(BRAND_ENDS))
    name = BRAND_STARTS[place % len(BRAND_STARTS)] + BRAND_ENDS[place // len(BRAND_STARTS)]
    return f"{name}{rounds}" if rounds else name


def _elongate(random: Random, text: str) -> str:
    """Draw out one vowel of the text."""
    vowels = [match.start() for match in re.finditer("[aeiou]", text)]
    at = random.choice(vowels)
    return text[:at] + text[at] * random.randint(3, 6) + text[at + 1 :]
