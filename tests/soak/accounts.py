"""The books of a long run, kept without holding it in memory: one event or dead letter for each record of the log.

Beside them the full oracle, for some of the streams.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests import kafka_tools
from tests.system.inputs import Input, Sent
from tests.system.oracle import Oracle
from tests.system.verifier import Report, check_events, check_states, stored_states
from tests.workplace import Workplace

READ_TIMEOUT_S = 3600.0


@dataclass
class Accounts:
    """How many records came, and how many of them have no event or dead letter, or several.

    report: what the oracle finds at the streams that it reads.
    """

    num_records: int = 0
    num_lost: int = 0
    num_twice: int = 0
    num_unknown: int = 0
    report: Report = field(default_factory=Report)

    @property
    def exact(self) -> bool:
        """Whether every record was answered exactly once, and as the oracle answers."""
        return not (self.num_lost or self.num_twice or self.num_unknown) and self.report.exact


def settle_accounts(workplace: Workplace, oracle: Oracle, streams: frozenset[str]) -> Accounts:
    """Read the whole input, events and dead letters, and the states of `streams`."""
    settings, topic = workplace.settings, workplace.topic
    answers = {tp.partition: np.zeros(end, np.uint8) for tp, end in kafka_tools.ends(settings.kafka, topic).items()}
    accounts = Accounts(num_records=sum(map(len, answers.values())))
    events: list[tuple[str, dict[str, Any]]] = []
    for record in kafka_tools.each_to_end(
        settings.kafka, settings.events_topic, settings.deadletters_topic, timeout_s=READ_TIMEOUT_S
    ):
        if record.topic == settings.events_topic:
            event = json.loads(record.value)
            partition, offset = event["source"]["partition"], event["source"]["offset"]
            if event["stream"] in streams:
                events.append((event["id"], event))
        else:
            headers = dict(record.headers)
            partition, offset = (int(headers[f"sentiment-{name}"]) for name in ("partition", "offset"))
        if offset < len(answers[partition]):
            answers[partition][offset] += answers[partition][offset] < np.iinfo(np.uint8).max
        else:
            accounts.num_unknown += 1
    accounts.num_lost = sum(int((one == 0).sum()) for one in answers.values())
    accounts.num_twice = sum(int((one > 1).sum()) for one in answers.values())
    expectation = oracle.expect(_sent(workplace, streams))
    check_events(accounts.report, expectation, events)
    found = {key: entry for key, entry in stored_states(workplace, oracle).items() if key[2] in streams}
    check_states(accounts.report, expectation.states, found)
    return accounts


def _sent(workplace: Workplace, streams: frozenset[str]) -> Iterator[Sent]:
    """What was sent of these streams, whole texts all."""
    names = {stream.encode() for stream in streams}
    for record in kafka_tools.each_to_end(workplace.settings.kafka, workplace.topic, timeout_s=READ_TIMEOUT_S):
        if record.key in names:
            value = json.loads(record.value)
            text = Input(value["stream"], value["text"], value["time"])
            yield Sent(record.topic, record.partition, record.offset, text)
