"""What is counted of the events of two models of the same records."""

from __future__ import annotations

from msgspec import Struct

from worker.records.types import Count, EventModel, UnitInterval


class LanguageCount(Struct):
    """The records of one language, and those of them to which both models give the same label."""

    num_compared: Count = 0
    num_agreeing: Count = 0


class ModelComparison(Struct):
    """What the model of a shadow makes of the records that another model served.

    moved: how many records went from one label to another, as "served>shadow". languages: by the code that the served
    event says. mean_score_change: of the shadow's score minus the served one; mean_score_distance: of its magnitude.
    """

    served: EventModel
    shadow: EventModel
    num_compared: Count = 0
    num_agreeing: Count = 0
    agreement: UnitInterval = 0.0
    mean_score_change: float = 0.0
    mean_score_distance: float = 0.0
    moved: dict[str, Count] = {}
    languages: dict[str, LanguageCount] = {}


class ComparisonEvent(ModelComparison, kw_only=True):
    """What a shadow has compared between two times (RFC 3339): records whose two events it has seen in this time."""

    since: str
    until: str
