"""The simulated feed: its streams, their moods and times, pieces of reviews, and poison."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.errors import Reason, RecordError
from worker.records.codec import Codec
from worker.records.types import InputText
from worker.settings import Settings
from worker.tools.simulate import MAX_TEXTS_BEFORE_TURN, Feed, FeedRecord, Kind

CODEC = Codec(Settings())


def take(feed: Feed, num_records: int) -> list[FeedRecord]:
    return list(islice(feed, num_records))


def decode(record: FeedRecord) -> InputText:
    return CODEC.decode(record.topic, record.key, record.value, 0, 0, record.timestamp_ms)


def texts_by_stream(records: list[FeedRecord]) -> dict[str, list[tuple[str, str | None]]]:
    """The (text id, label) pairs of each stream, one for each whole text."""
    found = defaultdict(list)
    for record in records:
        text = decode(record)
        if text.final:
            found[text.stream].append((text.record_id, record.label))
    return found


@settings(max_examples=10)
@given(st.integers(0, 2**32))
def test_a_seed_fixes_every_record(seed: int) -> None:
    first, second = Feed(seed, poison_share=0.1), Feed(seed, poison_share=0.1)
    records = take(first, 200)
    assert records == take(first, 200) == take(second, 200)
    assert first.turns == second.turns


def test_different_seeds_give_different_records() -> None:
    assert take(Feed(1), 20) != take(Feed(2), 20)


def test_event_times_follow_the_rate_and_equal_the_record_timestamps() -> None:
    records = take(Feed(0, rate=50.0, start_ms=1_790_000_000_500), 101)
    assert records[0].timestamp_ms == 1_790_000_000_500
    assert records[100].timestamp_ms == 1_790_000_002_500
    assert all(decode(record).time_ms == record.timestamp_ms for record in records)


def test_the_key_is_the_stream_and_a_stream_stays_in_its_topic() -> None:
    topics = defaultdict(set)
    for record in take(Feed(0), 2000):
        text = decode(record)
        assert record.key == text.stream.encode()
        topics[text.stream].add(record.topic)
    assert all(len(of_stream) == 1 for of_stream in topics.values())
    assert set.union(*topics.values()) == {"tweets", "reviews"}


@pytest.mark.parametrize("num_streams", [1, 24, 100])
def test_the_number_of_streams_is_as_requested_and_each_kind_has_a_third(num_streams: int) -> None:
    kinds = Feed(0, num_streams=num_streams).kinds
    assert len(kinds) == num_streams
    counts = Counter(kinds.values())
    assert max(counts[kind] for kind in Kind) - min(counts[kind] for kind in Kind) <= 1


def test_turning_streams_turn_at_the_named_text_and_only_there() -> None:
    feed = Feed(3, num_streams=12)
    assert {turn.stream for turn in feed.turns} == {name for name, kind in feed.kinds.items() if kind == Kind.TURNING}
    by_stream = texts_by_stream(take(feed, 6000))
    for turn in feed.turns:
        texts = by_stream[turn.stream]
        assert texts[turn.num_texts][0] == turn.record_id
        before = [label for _, label in texts[turn.num_texts - 30 : turn.num_texts]]
        after = [label for _, label in texts[turn.num_texts : turn.num_texts + 30]]
        assert before.count(turn.from_label) >= 18
        assert after.count(turn.to_label) >= 18
        assert turn.num_texts <= MAX_TEXTS_BEFORE_TURN
        assert {turn.from_label, turn.to_label} == {"negative", "positive"}


def test_steady_streams_keep_their_shares() -> None:
    feed = Feed(3, num_streams=12)
    by_stream = texts_by_stream(take(feed, 6000))
    for name in (name for name, kind in feed.kinds.items() if kind == Kind.STEADY):
        labels = [label for _, label in by_stream[name]]
        half = len(labels) // 2
        share = [part.count("positive") / len(part) for part in (labels[:half], labels[half:])]
        assert abs(share[0] - share[1]) < 0.15


def test_drifting_streams_move_slowly() -> None:
    feed = Feed(3, num_streams=3)
    name = next(name for name, kind in feed.kinds.items() if kind == Kind.DRIFTING)
    labels = [label for _, label in texts_by_stream(take(feed, 6000))[name]]
    early, late = labels[200:600], labels[1000:1300]
    assert early.count("positive") / len(early) > 0.65
    assert late.count("positive") / len(late) < 0.55


def test_tweets_look_like_tweets() -> None:
    tweets = [decode(record).text for record in take(Feed(0), 3000) if record.topic == "tweets"]
    for sign in ("@", "#", "https://", "!!", "😍", "😡"):
        assert 20 < sum(sign in tweet for tweet in tweets) < len(tweets)
    assert sum(any(vowel * 4 in tweet for vowel in "aeiou") for tweet in tweets) > 20
    assert len(set(tweets)) > 0.8 * len(tweets)


def test_every_second_account_writes_in_a_language_of_its_own() -> None:
    records = take(Feed(0, languages=["en", "ja", "de"]), 3000)
    texts = defaultdict(list)
    for record in records:
        if record.topic == "tweets":
            texts[record.key].append(decode(record).text)
    japanese = [name for name, of_stream in texts.items() if all(re.search("[ぁ-龯]", text) for text in of_stream)]
    assert len(texts) // 5 <= len(japanese) <= len(texts) // 3
    english = {decode(record).text for record in take(Feed(0), 3000)}
    assert len(english & {text for of_stream in texts.values() for text in of_stream}) > 50


def test_pieces_of_a_review_follow_each_other_in_their_stream_and_only_the_last_is_final() -> None:
    pieces: dict[str, list[InputText]] = defaultdict(list)
    whole = 0
    for record in take(Feed(0, poison_share=0.2), 4000):
        if record.reason and record.key:
            assert not pieces[record.key.decode()], "a record with an empty text would end the review"
        if record.topic == "reviews" and record.reason is None:
            text = decode(record)
            open_pieces = pieces[text.stream]
            assert not open_pieces or open_pieces[-1].record_id == text.record_id
            open_pieces.append(text)
            if text.final:
                sentences = "".join(piece.text for piece in open_pieces)
                assert sentences.count(". ") + sentences.count("? ") >= 1
                whole += len(open_pieces) > 1
                open_pieces.clear()
    assert whole > 50


def test_without_a_poison_share_every_record_is_good() -> None:
    for record in take(Feed(5), 2000):
        assert decode(record).text.strip()
        assert record.reason is None


def test_poison_has_its_share_and_every_reason_and_the_codec_agrees_on_the_reason() -> None:
    records = take(Feed(0, poison_share=0.1), 4000)
    counts = Counter(record.reason for record in records if record.reason)
    assert set(counts) == set(Reason) - {
        Reason.POISON,
        Reason.ABSURD_TIME,
        Reason.EVENT_TOO_LARGE,
        Reason.UNKNOWN_SCHEMA,
        Reason.SCHEMA_MISMATCH,
        Reason.NOT_UNDERSTOOD,
    }
    assert 250 < sum(counts.values()) < 450
    for record in records:
        if record.reason == Reason.EMPTY_TEXT:
            assert not decode(record).text.strip()
        elif record.reason:
            with pytest.raises(RecordError) as caught:
                decode(record)
            assert caught.value.reason == record.reason


def test_overlong_texts_just_exceed_the_limit() -> None:
    records = take(Feed(0, poison_share=0.5, max_text_bytes=100), 200)
    long = [len(json.loads(record.value)["text"]) for record in records if record.reason == Reason.TEXT_TOO_LONG]
    assert long
    assert all(100 < length < 110 for length in long)
