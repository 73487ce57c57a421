"""The counts of a demo and their display."""

from __future__ import annotations

import json
import re
import socket
import time
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from rich.console import Console

from tests.factories.records import Record, new_event, new_shift
from tests.unit.docs.pages import blocks
from worker.demo.processes import MAX_PORT_TRIES, as_variables, next_free_port
from worker.demo.run import WHAT_NEXT, _demo_settings
from worker.demo.tally import StreamLine, Summary, Tally, percentiles
from worker.demo.view import render
from worker.errors import Reason
from worker.records.codec import encode, format_time
from worker.records.types import EventMood, Source
from worker.settings import load_settings
from worker.tools.simulate import Feed, FeedRecord

SETTINGS = load_settings()


def event_of(fields: dict[str, Any], number: int = 0, age_ms: int = 0) -> Record:
    """The event for a record with these fields that was sent `age_ms` ago."""
    event = new_event(
        id=f"tweets-0-{number}",
        stream=fields["stream"],
        record_id=fields["id"],
        source=Source("tweets", 0, number, format_time(round(time.time() * 1000) - age_ms)),
        score=0.7,
        mood=EventMood(0.5, 0.5, 1),
    )
    return Record(number, None, encode(event), topic=SETTINGS.events_topic)


def dead_letter(reason: Reason) -> Record:
    headers = {"reason": reason, "error": "e", "topic": "tweets", "partition": "0", "offset": "1"}
    headers |= {"time": "2026-11-21T05:00:00Z", "worker-version": "0"}
    pairs = [(f"sentiment-{name}", value.encode()) for name, value in headers.items()]
    return Record(0, None, b"", topic=SETTINGS.deadletters_topic, headers=pairs)


def send(tally: Tally, *fields: dict[str, Any]) -> None:
    """Send a record for each dict of fields."""
    records = (FeedRecord("tweets", b"k", json.dumps(each).encode(), 0, "positive") for each in fields)
    assert len(list(tally.sending(records))) == len(fields)


def test_events_and_dead_letters_balance_the_records_of_a_feed() -> None:
    tally = Tally(SETTINGS)
    for number, record in enumerate(tally.sending(islice(Feed(3, num_streams=6, poison_share=0.1), 300))):
        assert tally.lag == 0
        answer = dead_letter(record.reason) if record.reason else event_of(msgspec.json.decode(record.value), number)
        tally.read(answer)
    summary = tally.summary(300)
    assert summary.is_balanced
    assert summary.events + summary.dead_letters == 300
    assert summary.dead_letters == tally.num_dead_letters > 0
    assert sum(line.num_records for line in tally.streams.values()) == summary.events


def test_a_summary_with_a_missing_or_repeated_answer_is_not_balanced() -> None:
    assert Summary(10, 9, 1, 0, None, None).is_balanced
    assert not Summary(10, 8, 1, 0, None, None).is_balanced
    assert not Summary(10, 10, 1, 0, None, None).is_balanced


def test_a_stream_shows_its_latest_text_even_of_a_review_in_pieces() -> None:
    tally = Tally(SETTINGS)
    pieces = [{"id": "r#0", "stream": "r", "text": text} for text in ("first ", "last")]
    send(tally, *pieces)
    assert tally.lag == 2
    tally.read(event_of(pieces[0]))
    assert tally.streams["r"].text == "first "
    tally.read(event_of(pieces[1]))
    assert (tally.streams["r"].text, tally.streams["r"].mood, tally.lag) == ("last", 0.5, 0)


def test_latency_runs_from_the_record_s_timestamp_to_now() -> None:
    tally = Tally(SETTINGS)
    fields = {"id": "1", "stream": "a", "text": "t"}
    send(tally, fields)
    tally.read(event_of(fields, age_ms=1500))
    (latency_ms,) = tally.latencies_ms
    assert latency_ms >= 1499


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], [None, None]), ([4.0], [4.0, 4.0]), ([float(n) for n in range(100, 0, -1)], [51.0, 100.0])],
)
def test_percentiles(values: list[float], expected: list[float | None]) -> None:
    assert percentiles(values, (0.50, 0.99)) == expected


def test_the_screen_shows_streams_figures_and_shifts_and_prints_markup_in_texts_verbatim() -> None:
    tally = Tally(SETTINGS)
    fields = {"id": "1", "stream": "@acme", "text": "[red]good[/] [/flight]"}
    send(tally, fields)
    tally.read(event_of(fields))
    tally.read(dead_letter(Reason.NO_TEXT))
    shift = new_shift(since="2026-11-21T05:00:00.000Z")
    tally.read(Record(0, None, encode(shift), topic=SETTINGS.shifts_topic))
    screen = shown(tally)
    for expected in ("@acme", "[red]good[/] [/flight]", "positive +0.70", "│███···", "no_text 1", "lag 0", "Kafka k:1"):
        assert expected in screen
    assert "@acme turned positive +0.60 to negative -0.50 since 05:00:00 (12 records)" in screen


def test_streams_that_do_not_fit_the_screen_are_omitted() -> None:
    tally = Tally(SETTINGS)
    fields = [{"id": "1", "stream": f"stream-{number:02}", "text": "t"} for number in range(40)]
    send(tally, *fields)
    for number, each in enumerate(fields):
        tally.read(event_of(each, number))
    screen = shown(tally, height=30)
    assert len(screen.splitlines()) <= 30
    assert len(re.findall(r"stream-\d\d", screen)) == 16


def test_the_worker_of_a_demo_gets_the_settings_of_the_demo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "sentiment.toml"
    config.write_text('topics = ["a", "b"]\nmax_wait_ms = 2.5\ncarry = false\n[fields.a]\ntext = "data.text"\n')
    monkeypatch.setenv("SENTIMENT_GROUP", "mine")
    settings = load_settings(config, checkpoint=tmp_path, log_format="json")
    for name, value in as_variables(settings).items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


def test_a_demo_takes_the_next_free_port_when_the_health_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert port < next_free_port("127.0.0.1", port) < port + MAX_PORT_TRIES
    assert next_free_port("127.0.0.1", port) == port
    assert next_free_port("127.0.0.1", 0) > 0


def test_a_narrow_terminal_keeps_room_for_the_texts() -> None:
    tally = Tally(SETTINGS)
    fields = {"id": "1", "stream": "@acme", "text": "good flight today"}
    send(tally, fields)
    tally.read(event_of(fields))
    assert "good flight today" in shown(tally, width=80)
    assert "tweets" not in shown(tally, width=80)
    assert "tweets" in shown(tally, width=120)


def shown(tally: Tally, height: int = 30, width: int = 120) -> str:
    console = Console(width=width, height=height)
    with console.capture() as captured:
        console.print(render(tally, ["Kafka k:1"], "Ctrl-C", console))
    return captured.get()


def test_the_readme_shows_the_screen_as_it_is() -> None:
    """Every line of its streams and figures; the addresses, latencies and the shift are those of one run."""
    (block,) = [one for one in blocks("text") if one.page == "README.md"]
    addresses, header, *rows, shift, figures = (" ".join(line.split()) for line in block.text.splitlines())
    tally = Tally(SETTINGS)
    for row in rows:
        found = re.fullmatch(r"(.+) \S{13} (\S+) (\w+) (\S+) (.+) (\w+) (\d+)", row)
        assert found is not None, row
        name, mood, label, score, text, topic, num_records = found.groups()
        tally.streams[name] = StreamLine(topic, int(num_records), text, label, float(score), float(mood))
    reasons = re.findall(r"(\w+) (\d+)[,)]", figures.partition("dead letters")[2])
    tally.reasons.update({reason: int(number) for reason, number in reasons})
    # The screen names the three that are most frequent.
    num_dead_letters = int(re.search(r"(\d+) dead letters", figures)[1])  # type: ignore[index]
    tally.reasons.update(f"other {n}" for n in range(num_dead_letters - tally.num_dead_letters))
    numbers = re.search(r"lag 0 ([\d,]+) records: ([\d,]+) events, .*, (\d+) shifts", figures)
    assert numbers is not None, figures
    tally.num_sent, tally.num_events, tally.num_shifts = (int(number.replace(",", "")) for number in numbers.groups())
    tally.latencies_ms.append(1.0)
    _, *shown_lines = (" ".join(line.split()) for line in shown(tally, width=200).splitlines())
    assert shown_lines[: len(rows) + 1] == [header, *rows]
    assert re.sub(r"\d+ (?=records/s|ms)", "", shown_lines[len(rows) + 1]) == re.sub(
        r"\d+ (?=records/s|ms)", "", figures
    )
    assert re.fullmatch(r"shift .+ turned \w+ [+-]\S+ to \w+ [+-]\S+ since [\d:]+ \(\d+ records\)", shift)
    assert re.fullmatch(r"Kafka \S+ Redis \S+ http://127\.0\.0\.1:6066/metrics /ready /live", addresses)


def test_a_demo_uses_nothing_of_what_the_user_s_own_servers_need() -> None:
    stack: Any = SimpleNamespace(kafka="127.0.0.1:1", redis="redis://127.0.0.1:2/0")
    mine = load_settings(
        redis="redis+sentinel://s:1/mymaster",
        redis_password="secret",
        kafka_security="SASL_SSL",
        kafka_username="me",
        kafka_password="secret",
        health_port=0,
    )
    variables = as_variables(_demo_settings(mine, stack))
    assert (variables["SENTIMENT_KAFKA"], variables["SENTIMENT_REDIS"]) == (stack.kafka, stack.redis)
    assert variables["SENTIMENT_KAFKA_SECURITY"] == "PLAINTEXT"
    assert not any("PASSWORD" in name or "USERNAME" in name for name in variables)


def test_a_demo_ends_with_commands_and_pages_that_there_are() -> None:
    pages = re.findall(r"docs/\S+\.md", WHAT_NEXT)
    assert len(pages) == 3
    assert all((Path(__file__).parents[3] / page).exists() for page in pages)
    commands = set(re.findall(r"sentiment (\w+)", WHAT_NEXT))
    assert commands == {"score", "stack", "topics", "worker", "tail"}
