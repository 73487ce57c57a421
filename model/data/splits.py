"""The splits of a training run: which stage may learn from which texts. No stream is in two splits.

dev films        no stage learns from them; `evaluate` measures on them, as on the published dev corpora. Once all
                 choices are made, the measured network may go on to learn from them (`all_films`) before it is served
held streams     films and tweet topics whose texts are read, but whose labels only the stream cell and the temperatures
                 learn from: the text network has not seen these labels, just as it has not seen those it will predict
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain

from model.config import TrainConfig
from model.data.corpora import Example, split_by_stream, split_by_time, stream_position

_URL, _NO_WORD = re.compile(r"https?://\S+"), re.compile(r"\W+")
_NAME = re.compile(r"@\w+|\bhttps?(?!\w)\S*|&\w+;")  # in some corpora a link is the bare word http


@dataclass(frozen=True, slots=True)
class Splits:
    """The texts of a training run; the keys of the dictionaries are imdb, sst2, semeval and airlines."""

    labelled: dict[str, list[Example]]  # the teachers and the text network learn from these
    held: dict[str, list[Example]]
    topics: list[Example]  # tweets of the held topics, with two classes: the stream cell learns from these
    unlabelled: list[str]  # reviews, none of a dev film
    dev_films: list[Example] = field(default_factory=list)  # their reviews, if the run may learn from them

    @property
    def all_texts(self) -> dict[str, list[str]]:
        """Corpus -> every text that may be read: the vocabulary and the language model are made from these."""
        names = self.labelled | self.held
        texts = {
            name: [example.text for example in chain(self.labelled.get(name, ()), self.held.get(name, ()))]
            for name in names
        }
        return texts | {"imdb_unlabelled": self.unlabelled}


def split_corpora(corpora: dict[str, list[Example]], config: TrainConfig) -> Splits:
    """Split corpora (all keys of FILES) as `config` says: `split_seed`, `dev_share` and the shares of held streams."""
    seed = config.split_seed
    dev_films, held_films, films = split_by_stream(corpora["imdb"], (config.dev_share, config.held_share), seed)
    _, unlabelled = split_by_stream(corpora["imdb_unlabelled"], (config.dev_share,), seed)
    held_phrases, phrases = split_by_stream(corpora["sst2"], (config.held_texts,), seed)
    held_tweets, tweets = split_by_stream(corpora["semeval"], (config.held_texts,), seed)
    airlines, _ = split_by_time(corpora["airlines"])

    in_topics = [example for name in ("topics_2point", "topics_5point") for example in corpora[name]]
    held_topics = [
        example
        for example in in_topics
        if example.split == "dev" or stream_position(example, seed) < config.held_topics
    ]
    of_held = _same_texts(held_topics)
    held_tweets += [tweet for tweet in tweets if _same_text(tweet.text) in of_held]
    tweets = [tweet for tweet in tweets if _same_text(tweet.text) not in of_held]
    return Splits(
        labelled={"imdb": films, "sst2": phrases, "semeval": tweets, "airlines": airlines},
        held={"imdb": held_films, "sst2": held_phrases, "semeval": held_tweets},
        topics=[
            example
            for example in corpora["topics_2point"]
            if example.split == "train" and stream_position(example, seed) < config.held_topics
        ],
        unlabelled=[example.text for example in unlabelled],
        dev_films=dev_films if config.all_films else [],
    )


def without_same_texts(examples: Sequence[Example], others: Iterable[Example]) -> list[Example]:
    """The examples whose text no example of `others` has, but for links, names, punctuation and case.

    Corpora of one language may share texts: what one would learn from, another is measured on.
    """
    known = {_bare_text(example.text) for example in others}
    return [example for example in examples if _bare_text(example.text) not in known]


def _bare_text(text: str) -> str:
    return _NO_WORD.sub(" ", _NAME.sub(" ", text.lower())).strip()


def _same_texts(examples: Iterable[Example]) -> set[str]:
    return {_same_text(example.text) for example in examples}


def _same_text(text: str) -> str:
    """The text without links, punctuation and case, in which the copies of a tweet in two files may differ."""
    return _NO_WORD.sub(" ", _URL.sub("", text.lower())).strip()
