"""What a round reads: the grammar's sentences, tweets that the probe judges, and nothing that is measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.behaviour.sentences import Sentence
from model.config import TrainConfig
from model.data.corpora import FILES, Example, read_corpora
from model.data.languages import LanguageCorpus
from model.data.splits import split_corpora
from model.training.multilingual import transfer_sets
from model.training.multilingual.train_languages import _apart
from tests.unit.model.training.train_languages.small_runs import train
from tests.unit.model.training.train_languages.toy_languages import CLASSES, FILLERS, Encoder


def test_sentences_of_the_grammar_are_learnt_with_their_labels_and_are_others_in_every_round() -> None:
    texts, logits = transfer_sets._grammar_set(1)
    labels = {sentence.text: sentence.label for _, sentence in transfer_sets.training_streams(seed=1)}
    assert 20 < len(texts) == len(logits)
    learnt = {text: CLASSES[row.argmax()] for text, row in zip(texts, logits, strict=True)}
    assert labels.items() <= learnt.items()
    assert np.allclose(np.exp(logits).sum(axis=1), 1)
    assert set(texts) != set(transfer_sets._grammar_set(1001)[0])


def test_company_news_is_learnt_with_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {"the film is good": "plain", "profit rose": "company_news"}
    drawn = [("a", Sentence(text, "positive", kind, "en", "")) for text, kind in kinds.items()]
    monkeypatch.setattr(transfer_sets, "training_streams", lambda **_: drawn)
    texts, logits = transfer_sets._grammar_set(1)
    learnt = {kinds[text]: [round(float(p), 2) for p in row] for text, row in zip(texts, np.exp(logits), strict=True)}
    assert learnt == {"plain": [0.03, 0.03, 0.94], "company_news": [0.25, 0.25, 0.5]}


def test_no_kind_of_the_grammar_buries_the_others() -> None:
    long, short = (
        [Sentence(f"{kind} {number}", "neutral", kind, "en", "") for number in range(num)]
        for kind, num in (("negation_near", transfer_sets.MAX_OF_KIND + 5), ("plain", 7))
    )
    german = [Sentence(f"de {number}", "neutral", "plain", "de", "") for number in range(transfer_sets.MAX_OF_KIND + 5)]
    kept = transfer_sets._evened([*long, *short, *german], np.random.default_rng(1))
    assert Counter((sentence.kind, sentence.language) for sentence in kept) == {
        ("negation_near", "en"): transfer_sets.MAX_OF_KIND,
        ("plain", "en"): 7,
        ("plain", "de"): transfer_sets.MAX_OF_KIND,
    }


def test_the_probe_reads_more_tweets_of_each_language_in_every_round(
    english: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer_sets, "PROBE_TEXTS", 50)
    read: list[str] = []

    class Counting(Encoder):
        def vectors(self, texts: Sequence[str]) -> np.ndarray:
            read.extend(texts)
            return super().vectors(texts)

    num_read: list[int] = []
    for num_rounds in (1, 2, 3):
        train(english, data, tmp_path / "run", num_rounds=num_rounds, load_encoder=Counting)
        num_read.append(sum(text.count(" ") == 5 and text.split(" ")[0] in FILLERS["de"].split(" ") for text in read))
    assert num_read[0] == 0
    assert 0 < num_read[1] < num_read[2], "and none is read twice"
    assert len(read) == len(set(read))


def test_what_one_english_corpus_measures_is_not_learnt_from_another(data: Path) -> None:
    corpora = read_corpora(data, FILES)
    splits = split_corpora(corpora, TrainConfig(held_topics=0.4))
    new = [Example("1", "quite new", 2), Example("2", "new, too", 0)]
    measured = splits.labelled["semeval"][:3]
    tweets = LanguageCorpus("en_tweets", "en", "tweets", [*corpora["semeval_dev"], *new], measured)
    comments = replace(tweets, name="en_comments", kind="comments")
    apart, kept = _apart(splits, corpora, {"en_tweets": tweets, "en_comments": comments})
    assert kept["en_tweets"].train == new
    assert kept["en_comments"] == comments
    assert not {example.text for example in measured} & {example.text for example in apart.labelled["semeval"]}
    assert apart.labelled["sst2"] == splits.labelled["sst2"]
