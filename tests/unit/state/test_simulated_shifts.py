"""On the simulated feed, the default checkpoint and the shift detector find every turn and raise no false alarm."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import islice

import pytest

from model import InferenceEngine, Request, StreamState
from worker.records.codec import Codec
from worker.settings import Settings
from worker.state.mood import MoodState, MoodTracker, Shift
from worker.tools.simulate import Feed

NUM_RECORDS, BATCH = 6000, 500
MAX_DELAY_TEXTS = 60


def shifts(feed: Feed, engine: InferenceEngine) -> dict[str, list[tuple[int, Shift]]]:
    """The shifts of each stream, each with the number of texts before the one that revealed it."""
    settings = Settings()
    codec, tracker = Codec(settings), MoodTracker(settings)
    states: dict[str, StreamState] = {}
    moods: dict[str, MoodState] = {}
    found = defaultdict(list)
    for records in batches(feed):
        texts = [codec.decode(r.topic, r.key, r.value, 0, 0, r.timestamp_ms) for r in records]
        results = engine.score([Request(t.stream, t.text, t.final, states.get(t.stream)) for t in texts])
        for text, result in zip(texts, results, strict=True):
            states[text.stream] = result.state
            if text.final:
                mood, shift = tracker.update(moods.get(text.stream), result.score, text.time_ms)
                moods[text.stream] = mood
                if shift:
                    found[text.stream].append((mood.num_records - 1, shift))
    return found


def batches(feed: Feed) -> Iterator[list]:
    records = islice(feed, NUM_RECORDS)
    while batch := list(islice(records, BATCH)):
        yield batch


@pytest.mark.parametrize("seed", [0, 1])
def test_every_turn_is_found_once_and_steady_streams_raise_no_alarm(
    seed: int, packaged_engine: Callable[[str], InferenceEngine]
) -> None:
    feed = Feed(seed)
    found = shifts(feed, packaged_engine("default"))
    assert set(found) == {turn.stream for turn in feed.turns}
    for turn in feed.turns:
        ((num_texts, shift),) = found[turn.stream]
        assert 0 <= num_texts - turn.num_texts <= MAX_DELAY_TEXTS
        assert (shift.to_score > shift.from_score) == (turn.to_label == "positive")
