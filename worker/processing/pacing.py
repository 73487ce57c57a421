"""How long a micro-batch waits for more records: as long as commits cost."""

from __future__ import annotations

# A commit costs the brokers and us much the same for one record as for a hundred. When at least so many times its
# length passes between two of them, that cost stays bounded whatever the rate, and a record after a pause waits for
# nothing. Measured at 300 records/s: docs/decisions.md.
_PAUSE_PER_COMMIT = 2.0
_NEW_SHARE = 0.2


class Pacing:
    """Spaces commits by what they cost now. Times are of a monotonic clock, in seconds."""

    def __init__(self, max_wait_s: float) -> None:
        self._max_wait_s = max_wait_s
        self._cost_s = 0.0
        self._free_at_s = 0.0

    def wait_s(self, now_s: float) -> float:
        """How long a batch that begins now waits until it is full."""
        return min(self._max_wait_s, max(0.0, self._free_at_s - now_s))

    def commit_began(self, now_s: float) -> None:
        """A commit is under way; it may take as long as the ones before."""
        self._free_at_s = now_s + self._cost_s * (1 + _PAUSE_PER_COMMIT)

    def commit_ended(self, now_s: float, took_s: float) -> None:
        """The commit is over."""
        self._cost_s += _NEW_SHARE * (took_s - self._cost_s) if self._cost_s else took_s
        self._free_at_s = now_s + self._cost_s * _PAUSE_PER_COMMIT
