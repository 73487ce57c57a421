"""Every preset reads its example records, as the worker and `sentiment payloads try` do."""

from __future__ import annotations

import pytest

from worker.payloads.presets import PRESETS, examples
from worker.records.codec import Codec, format_time
from worker.records.types import InputText, Skipped
from worker.settings import Settings

NOW_MS = 1_795_000_000_000

# Per record of the file: stream, id ("" if the payload has none), time, and the text's beginning; or the skip rule.
EXPECTED: dict[str, list[tuple[str, str, str, str] | str]] = {
    "x-v1.1": [
        (
            "10000001",
            "1000000000000000001",
            "2018-10-10T20:19:24.000Z",
            "Boarding took two hours, and nobody told us",
        ),
        ("10000001", "1000000000000000002", "2018-10-11T07:02:03.000Z", "Great flight with @norvia"),
        "there is retweeted_status",
        "there is delete",
        "there is event",
    ],
    "x-v2": [
        ("20000001", "1990000000000000001", "2026-11-18T08:00:00.000Z", "Boarding took two hours, again"),
        ("20000001", "1990000000000000002", "2026-11-18T08:10:00.000Z", "The crew was lovely though, and I would"),
        "data.referenced_tweets.*.type or referenced_tweets.*.type is retweeted",
        "there is errors.*.disconnect_type or errors.*.connection_issue",
    ],
    "amazon-2018": [
        ("B000000001", "", "2017-09-13T00:00:00.000Z", "The pages are thin, but the print is large. My father  "),
        ("B000000001", "", "2018-01-02T00:00:00.000Z", "Fell apart after a week"),
    ],
    "amazon-2023": [
        ("B000000000", "", "2020-05-05T14:08:48.923Z", "Runs small.      The colour is nice"),
        ("B000000004", "", "2020-05-05T14:08:50.000Z", "Perfect gift"),
    ],
    "yelp": [
        ("b0000000000000000000001", "r0000000000000000000001", "2018-07-07T22:09:11.000Z", "If you decide to eat here"),
    ],
    "reddit": [
        ("headphones", "t1_c000001", "2018-07-07T21:29:11.000Z", "These are the best ones"),
        ("headphones", "s000001", "2018-07-07T21:29:20.000Z", "Left side stopped working after two days"),
        "body or selftext or title is [deleted] or [removed]",
        ("headphones", "t1_c000003", "2018-07-07T21:30:10.000Z", "Worth every cent"),
    ],
    "steam": [("440", "100000001", "2023-11-14T22:21:40.000Z", "Runs badly, but the story is great")],
    "app-store": [
        ("100000001", "9000000001", "2024-11-05T17:12:13.000Z", "Crashes whenever I open a photo"),
        ("100000001", "00000013-1111-2222-3333-444444444444", "2024-11-05T17:12:13.000Z", "Simple and fast"),
        ("100000001", "9000000002", "2024-11-06T10:12:13.000Z", "Slow since the update"),
    ],
    "google-play": [
        ("org.example.photos", "00000001-0000-0000-0000-000000000001", "2023-11-14T22:13:20.000Z", "\tUseful, but"),
        ("org.example.photos", "00000001-0000-0000-0000-000000000002", "2024-11-05T10:12:13.000Z", "Great update!"),
    ],
    "debezium": [
        ("norvia", "1004", "2023-11-14T22:13:20.000Z", "great flight, thanks"),
        ("norvia", "1005", "2023-11-14T22:13:22.000Z", "my bag was lost"),
        "payload.op or op is d or t or m",
        "there is nothing at payload.op or op or payload.text or text",
        ("norvia", "1006", "2023-11-14T22:13:20.000Z", "the crew was kind"),
        "payload.__deleted or __deleted is true or True",
        ("norvia", "1007", "2023-11-14T22:13:20.000Z", "seats like stone"),
    ],
}


def test_every_preset_has_examples_and_expectations() -> None:
    assert list(EXPECTED) == list(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_reads_its_examples(name: str) -> None:
    codec = Codec(Settings(topics=("t",), payloads={"t": name}))
    records = examples(name)
    assert len(records) == len(EXPECTED[name])
    for offset, (value, expected) in enumerate(zip(records, EXPECTED[name], strict=True)):
        found = codec.decode("t", b"key", value, 0, offset, NOW_MS)
        if isinstance(expected, str):
            assert found == Skipped(expected)
            continue
        stream, record_id, time, beginning = expected
        assert isinstance(found, InputText)
        assert (found.stream, found.record_id, format_time(found.time_ms)) == (
            stream, record_id or f"t-0-{offset}", time
        )  # fmt: skip
        assert found.text.startswith(beginning)
        assert (found.final, found.fallbacks) == (True, ())


def test_a_topic_overrides_what_its_preset_sets_and_nothing_else() -> None:
    settings = Settings(
        topics=("t",),
        payloads={"t": {"preset": "debezium", "skip": [], "null_values": "erase"}},
        fields={"t": {"text": "after.body"}},
    )
    payload, fields = settings.payload_of("t")
    assert (payload.key_format, payload.skip, payload.null_values) == ("payload", (), "erase")
    assert (fields.text, fields.id) == ("after.body", ("payload.after.id", "after.id", "payload.id", "id"))


def test_a_post_without_its_author_takes_the_key_as_its_stream() -> None:
    codec = Codec(Settings(topics=("t",), payloads={"t": "x-v2"}))
    found = codec.decode("t", b"norvia", b'{"id": "1", "text": "great"}', 0, 0, NOW_MS)
    assert isinstance(found, InputText)
    assert found.stream == "norvia"
