"""The figures of a run: as text, and with the planted bugs as the page docs/simulation.md."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tests.planted_bugs.registry import described
from tests.simulation.planted import ALL
from tests.simulation.run import Outcome

_MODULE = "python -m tests.simulation"

_INTRODUCTION = f"""# The worker on simulated servers

`make simulate` runs the worker's own code on a model of Kafka and a model of Redis, in virtual time, while faults are
caused. A seed decides everything: the input, the faults, every delay and the order in which tasks run. A seed that is
run a second time gives the same bytes, so whatever is found can be repeated and debugged.

**Simulated.** One to four workers with their consumer group, transactions, take-overs, flushes and Lua scripts; a
broker that answers as Kafka 4.3 does, with its transaction and group coordinators, also before these have loaded what
they knew; a Redis that runs the worker's scripts; the network between them; the clock. The same scripts of requests go
to the model and to a real cluster, and the answers must be equal (`tests/simulation/conformance`). In the end every
event, dead letter, offset and state is compared with what the input alone implies (`tests/simulation/oracle.py`).

**Not simulated.** The LSTM: a hash of a stream's texts stands for its state, which shows any text that is lost,
repeated or out of order. Faust's and aiokafka's own code, several brokers and their elections, disks, the operating
system, the serialisation of requests, and real time. `make faults` tests the worker with real servers and processes.

**Faults** happen at any moment. Some are aimed at the moments in which one fence alone holds and which are rare by
chance (`tests/simulation/faults/aimed_faults.py`): a worker that sleeps until its successor has planned, a request that
arrives in the next transaction, a Redis that forgets everything when only markers are left to read.

Repeat one seed: `{_MODULE} --first-seed 17 --seeds 1`
"""
_PLANTED_BUGS = """## Planted bugs

Each line is the worker's code with one thing left out or changed. `seeds` is the number of seeds that were run until
one found a difference.
"""
_PROTOCOL_FACTS = """## What the worker has to know of the protocol

Each of these was a bug during development.

- A late EndTxn can end the next transaction of the same producer epoch, and then publishes half of it without its
  offsets (KIP-890). The worker takes another epoch after any request that was not answered.
- A TxnOffsetCommit that is refused because the coordinator has forgotten the producer leaves the records of the
  transaction open: readers of committed records wait until its time-out. The worker aborts the transaction at once.
- Transactional ids are all that tells whose transaction is open. If a hyphen follows the group's name, ids of the group
  `a-2` look like ids of the group `a`; a colon follows it, which no group's name has.

A limit of Kafka remains: a static member that leads its group and restarts does not learn that it leads (KIP-814). A
topic that is created again then stays unassigned until the membership changes.
"""


class Summary(NamedTuple):
    """All outcomes of a run, and how long they took."""

    outcomes: Sequence[Outcome]
    took_s: float

    @property
    def num_records(self) -> int:
        """The input records of all seeds."""
        return sum(outcome.num_records for outcome in self.outcomes)

    @property
    def num_different(self) -> int:
        """The seeds that found a difference."""
        return sum(bool(outcome.differences) for outcome in self.outcomes)

    def rows(self) -> Iterator[tuple[str, str]]:
        """Names and figures of the run."""
        outcomes = self.outcomes
        yield "seeds", f"{len(outcomes)}"
        yield (
            "records",
            f"{self.num_records}, each under faults; {self.num_records / self.took_s * 3600:,.0f} an hour",
        )
        yield "virtual time", f"{sum(o.virtual_s for o in outcomes):,.0f} s in {self.took_s:,.0f} s"
        yield "faults", counts(sum((o.faults for o in outcomes), Counter()))
        yield "ends", counts(sum((o.deaths for o in outcomes), Counter()))
        yield "points", counts(sum((o.points for o in outcomes), Counter()))
        yield "stale writes", f"{sum(o.num_stale_writes for o in outcomes)} tried on Redis and refused"
        yield "differences", f"{self.num_different} seeds"


class PlantedResult(NamedTuple):
    """What came of a planted bug after `num_seeds` seeds. outcome: of the seed that found it, None where none did."""

    name: str
    num_seeds: int
    outcome: Outcome | None


def counts(counted: Counter[str]) -> str:
    """Names and their counts, in the order of the names."""
    return ", ".join(f"{name} {count}" for name, count in sorted(counted.items())) or "none"


def write_report(summary: Summary, planted: Iterable[PlantedResult]) -> str:
    """The page, in Markdown."""
    lines = [_INTRODUCTION, "## A run", "", _row(("figure", "value")), _row(("---", "---"))]
    lines += [_row(row) for row in summary.rows()]
    lines += ["", _conclusion(summary), "", _PLANTED_BUGS]
    lines += [_row(("bug", "what it does", "seeds", "repeat with")), _row(("---",) * 4)]
    lines += [_row(_planted_cells(one)) for one in planted]
    return "\n".join([*lines, "", _PROTOCOL_FACTS])


def _row(cells: Iterable[object]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def _planted_cells(planted: PlantedResult) -> Iterable[object]:
    name, num_seeds, outcome = planted
    description = described(ALL[name])
    if outcome is None:
        return f"`{name}`", description, f"not in {num_seeds}", ""
    command = f"`{_MODULE} --planted {name} --first-seed {outcome.seed} --seeds 1`"
    return f"`{name}`", description, num_seeds, command


def _conclusion(summary: Summary) -> str:
    num_seeds, machine = len(summary.outcomes), f"{os.cpu_count()} cores, {platform.system()}, one process"
    if summary.num_different:
        return f"{summary.num_different:,} of {num_seeds:,} seeds find a difference ({machine})."
    return (
        f"No difference in {num_seeds:,} seeds and {summary.num_records:,} records ({machine}): by the rule of three,\n"
        f"at 95%, fewer than one seed in {num_seeds // 3:,}\n"
        f"differs, and if records were independent, fewer than one record in {summary.num_records // 3:,}."
    )
