"""Who may learn what from the corpora: the splits of a training run, cut so that no stream is in two of them.

dev films        nothing is learnt from them; `evaluate` measures on them, as on the published dev corpora. Once all is
                 chosen, the network that was measured may go on with them (`all_films`), before it is served
held streams     films and topics of tweets whose texts are read, but whose labels only the stream cell and the
                 temperatures learn from: the text network is a stranger to them, as it is to what it will serve
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain

from model.config import TrainConfig
from model.data.corpora import Example, split_by_stream, split_by_time, stream_position

_URL, _NO_WORD = re.compile(r"https?://\S+"), re.compile(r"\W+")


@dataclass(frozen=True, slots=True)
class Splits:
    """The texts of a training run. Corpora by name: imdb, sst2, semeval, airlines."""

    labelled: dict[str, list[Example]]  # what the teachers and the text network learn from
    held: dict[str, list[Example]]
    topics: list[Example]  # the tweets of the held topics, with two classes: the stream cell learns from these
    unlabelled: list[str]  # reviews, none of a dev film
    dev_films: list[Example] = field(default_factory=list)  # the reviews of these, where they are to be learnt from

    @property
    def all_texts(self) -> dict[str, list[str]]:
        """By corpus, what may be read: the vocabulary and the language model are made from it."""
        names = self.labelled | self.held
        texts = {
            name: [example.text for example in chain(self.labelled.get(name, ()), self.held.get(name, ()))]
            for name in names
        }
        return texts | {"imdb_unlabelled": self.unlabelled}


def split_corpora(corpora: dict[str, list[Example]], config: TrainConfig) -> Splits:
    """Cut the corpora of a data folder into the splits of a run."""
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


def _same_texts(examples: Iterable[Example]) -> set[str]:
    return {_same_text(example.text) for example in examples}


def _same_text(text: str) -> str:
    """Equal for what differs only in its links, spaces, marks and case: one tweet in two files."""
    return _NO_WORD.sub(" ", _URL.sub("", text.lower())).strip()
