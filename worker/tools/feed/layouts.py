"""The layouts of published data sets, by name: which columns are the fields, and how they write times.

sentiment140  Go, Bhayani, Huang: Twitter Sentiment Classification using Distant Supervision (2009); no header, Latin-1.
airline       Twitter US Airline Sentiment (CrowdFlower, 2015); the stream is the airline.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

_ZONES = {"PDT": "-0700", "PST": "-0800", "UTC": "+0000", "GMT": "+0000"}


class Layout(NamedTuple):
    """columns: as in FileOptions. time_format: as strptime takes it."""

    columns: tuple[str, ...]
    encoding: str
    time_format: str

    def time(self, cell: str) -> str:
        """The time in RFC 3339; a cell of another form stays as it is."""
        words = " ".join(_ZONES.get(word, word) for word in cell.split())
        try:
            return datetime.strptime(words, self.time_format).isoformat()
        except ValueError:
            return cell


LAYOUTS = {
    "sentiment140": Layout(("target", "id", "time", "query", "stream", "text"), "latin-1", "%a %b %d %H:%M:%S %z %Y"),
    "airline": Layout(("id=tweet_id", "stream=airline", "time=tweet_created"), "utf-8", "%Y-%m-%d %H:%M:%S %z"),
}
