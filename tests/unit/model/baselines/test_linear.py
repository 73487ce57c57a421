"""The linear baseline: what it knows of a stream's past, and that nothing else reaches it."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="training needs pip install '.[train]'")

from model.baselines.classifiers.linear import LinearConfig, _read_reviews, _with_past
from model.data.corpora import Example


def test_a_text_sees_the_opinions_before_it_on_its_own_stream_alone() -> None:
    scores = np.array([2.0, -1.0, 4.0, 3.0])
    columns = _with_past(scores, ["a", "b", "a", "a"])
    np.testing.assert_allclose(columns[:, 0], scores)
    np.testing.assert_allclose(columns[:, 1], [0, 0, 2, 3])
    np.testing.assert_allclose(columns[:, 2], [0, 0, 2 / 4, 6 / 5])


def test_a_past_helps_where_films_are_good_or_bad_and_not_where_streams_are_dealt_anew() -> None:
    rng = np.random.default_rng(0)

    def films(first: int) -> list[Example]:
        examples = []
        for film in range(first, first + 40):
            good = film % 2
            for number in range(12):
                # half of the reviews do not say in their words what they think
                words = ("bad", "good")[good] if rng.random() < 0.5 else rng.choice(["long", "short"])
                examples.append(Example(f"{film}/{number}", f"a {words} film", 2 * good, f"film {film}"))
        return examples

    figures, num_weights = _read_reviews(films(0), films(100), LinearConfig())
    assert num_weights > 4
    assert figures["carried"] > figures["reset"] + 0.1
    assert figures["shuffled"] < figures["carried"] - 0.1
