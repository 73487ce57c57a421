"""Joins the events of a group and of its shadows by their ids, which name the record, and counts how they differ."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from typing import Any, NamedTuple

from msgspec import Struct

from worker.records.comparison import LanguageCount, ModelComparison
from worker.records.types import EventLanguage, EventModel, TopicPartition

_ANY_NUMBER = 1 << 62


class ComparedEvent(Struct, frozen=True):
    """The fields of a sentiment event that are compared; an event has more."""

    id: str
    label: str
    score: float
    model: EventModel
    language: EventLanguage = EventLanguage("", 0.0)


class Pair(NamedTuple):
    """Two events of one record."""

    served: ComparedEvent
    shadow: ComparedEvent

    @property
    def agrees(self) -> bool:
        """Whether both have the same label."""
        return self.served.label == self.shadow.label

    @property
    def source(self) -> TopicPartition:
        """The input partition that the record is of, which the id begins with."""
        topic, partition, _ = self.served.id.rsplit("-", 2)
        return TopicPartition(topic, int(partition))


class Join:
    """Pairs of events, in whatever order the two topics are read.

    max_waiting_served, max_waiting_shadow: the oldest events are forgotten once more of them wait for the other one.
    """

    def __init__(self, max_waiting_served: int, max_waiting_shadow: int = _ANY_NUMBER) -> None:
        self._max_served = max_waiting_served
        self._max_shadow = max_waiting_shadow
        self._served: OrderedDict[str, ComparedEvent] = OrderedDict()
        self._shadow: OrderedDict[tuple[str, str], ComparedEvent] = OrderedDict()
        self._fingerprints: set[str] = set()

    @property
    def num_waiting(self) -> int:
        """The events of shadows for whose records there is no event of the group, such as those of dead letters."""
        return len(self._shadow)

    def add_served(self, event: ComparedEvent) -> Iterator[Pair]:
        """An event of the group, and the pairs that it completes: one for each shadow."""
        _keep(self._served, event.id, event, self._max_served)
        for fingerprint in self._fingerprints:
            shadow = self._shadow.pop((event.id, fingerprint), None)
            if shadow is not None:
                yield Pair(event, shadow)

    def add_shadow(self, event: ComparedEvent) -> Iterator[Pair]:
        """An event of a shadow, and the pair that it completes, if any."""
        served = self._served.get(event.id)
        if served is not None:
            yield Pair(served, event)
        else:
            self._fingerprints.add(event.model.fingerprint)
            _keep(self._shadow, (event.id, event.model.fingerprint), event, self._max_shadow)


def _keep(waiting: OrderedDict[Any, ComparedEvent], key: Any, event: ComparedEvent, max_waiting: int) -> None:
    waiting[key] = event
    while len(waiting) > max_waiting:
        waiting.popitem(last=False)


class Tally:
    """Counts pairs by their two models."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], ModelComparison] = {}

    def add(self, pair: Pair) -> None:
        """Count one more record."""
        models = pair.served.model, pair.shadow.model
        key = models[0].fingerprint, models[1].fingerprint
        count = self._counts.setdefault(key, ModelComparison(*models))
        change = pair.shadow.score - pair.served.score
        count.num_compared += 1
        count.num_agreeing += pair.agrees
        count.mean_score_change += (change - count.mean_score_change) / count.num_compared
        count.mean_score_distance += (abs(change) - count.mean_score_distance) / count.num_compared
        of_language = count.languages.setdefault(pair.served.language.code, LanguageCount())
        of_language.num_compared += 1
        of_language.num_agreeing += pair.agrees
        if not pair.agrees:
            move = f"{pair.served.label}>{pair.shadow.label}"
            count.moved[move] = count.moved.get(move, 0) + 1

    def comparisons(self) -> list[ModelComparison]:
        """One for each pair of models, those with most records first, and so are moves and languages in each."""
        for count in self._counts.values():
            count.agreement = count.num_agreeing / count.num_compared
            count.moved = dict(Counter(count.moved).most_common())
            by_number = sorted(count.languages.items(), key=lambda one: -one[1].num_compared)
            count.languages = dict(by_number)
        return sorted(self._counts.values(), key=lambda count: -count.num_compared)
