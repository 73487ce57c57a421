"""The linear baseline: its state is the past of a text's own stream, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from model.baselines.classifiers.linear import LinearConfig, _measure_reviews, _with_past, run
from model.data.corpora import Example


def test_the_features_of_a_text_have_only_the_earlier_scores_of_its_own_stream() -> None:
    scores = np.array([2.0, -1.0, 4.0, 3.0])
    columns = _with_past(scores, ["a", "b", "a", "a"])
    np.testing.assert_allclose(columns[:, 0], scores)
    np.testing.assert_allclose(columns[:, 1], [0, 0, 2, 3])
    np.testing.assert_allclose(columns[:, 2], [0, 0, 2 / 4, 6 / 5])


def test_a_past_helps_where_films_are_good_or_bad_and_not_where_streams_are_shuffled() -> None:
    rng = np.random.default_rng(0)

    def films(first: int) -> list[Example]:
        examples = []
        for film in range(first, first + 40):
            good = film % 2
            for number in range(12):
                # the words of half of the reviews carry no judgement
                words = ("bad", "good")[good] if rng.random() < 0.5 else rng.choice(["long", "short"])
                examples.append(Example(f"{film}/{number}", f"a {words} film", 2 * good, f"film {film}"))
        return examples

    figures, num_weights = _measure_reviews(films(0), films(100), LinearConfig())
    assert num_weights > 4
    assert figures["carried"] > figures["reset"] + 0.1
    assert figures["shuffled"] < figures["carried"] - 0.1


def test_on_a_data_directory_it_measures_reviews_and_tweets(data_folder: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    config = LinearConfig(num_texts=20, min_texts=1)
    outcome = run(config, data_folder, tmp_path, lambda share, line: lines.append(line))
    assert set(outcome.figures) == {
        *("accuracy", "imdb reset", "imdb carried", "imdb shuffled"),
        *("semeval_dev macro recall", "airlines macro recall"),
    }
    assert all(0 <= figure <= 1 for figure in outcome.figures.values())
    assert lines == ["semeval_dev", "airlines", "imdb"]
    assert outcome.num_parameters > 0
