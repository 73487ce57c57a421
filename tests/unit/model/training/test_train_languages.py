"""Training of a network of many languages: it learns them, resumes, adds rounds, and refuses what it cannot use."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from shutil import copytree, ignore_patterns
from zlib import crc32

import numpy as np
import pytest
from safetensors.numpy import load_file

from model.behaviour.sentences import Sentence
from model.checkpoint import load_checkpoint, save_checkpoint
from model.config import ModelConfig, TrainConfig, Understanding
from model.data.corpora import FILES, Example, read_corpora
from model.data.languages import LanguageCorpus
from model.data.splits import split_corpora
from model.errors import CheckpointError, ConfigError, DataError, ModelError
from model.evaluation.evaluate import evaluate_checkpoint
from model.inference.batch import Request
from model.inference.engine import InferenceEngine
from model.text.normalise import SPECIAL_TOKENS
from model.text.plain_forms import NORMALISATIONS
from model.text.tokenizer import PIECES
from model.training import fit
from model.training.multilingual import transfer_sets
from model.training.multilingual.e5 import DIM, Piece
from model.training.multilingual.train_languages import _apart, train_languages
from model.training.multilingual.vocabulary import VocabularySizes
from tests.unit.model.conftest import random_weights

WORDS = {
    "en": {"negative": "awful boring bad", "neutral": "today ticket line", "positive": "great lovely good"},
    "de": {"negative": "schlecht furchtbar", "neutral": "heute fahrkarte", "positive": "wunderbar sch\u00f6n"},
    "zh": {
        "negative": "\u7cdf\u7cd5 \u5dee",
        "neutral": "\u4eca\u5929 \u7968",
        "positive": "\u597d\u770b \u6f02\u4eae",
    },
}
FILLERS = {"en": "the film was a so and", "de": "der film war ein und", "zh": "\u8fd9 \u7535\u5f71 \u662f \u4e86"}
ENGLISH = [*SPECIAL_TOKENS, *" ".join(WORDS["en"].values()).split(" "), *FILLERS["en"].split(" ")]
SIZES = ModelConfig(
    num_words=len(ENGLISH), num_buckets=8, embedding_size=16, hidden_size=16, summary_size=6, stream_size=6
)
CHANGES = {"epochs": 4, "batch_tokens": 600, "learning_rate": 1e-2, "warmup_steps": 5, "stream_epochs": 2}
CHANGES |= {"held_topics": 0.4, "phrase_variants": 1, "max_sentences": 50}
CLASSES = ("negative", "neutral", "positive")


class Encoder:
    """In place of the pretrained one: a text's vector is the mean of random ones of its words, its class beside it."""

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        found = np.zeros((len(texts), DIM), np.float32)
        for place, text in enumerate(texts):
            row = found[place]
            row += np.random.default_rng(crc32(text.encode())).normal(0, 0.1, DIM)
            for words in WORDS.values():
                for number, label in enumerate(CLASSES):
                    row[number] += sum(word in text for word in words[label].split(" "))
            row /= np.linalg.norm(row)
        return found

    def pieces(self) -> list[Piece]:
        joined = " ".join(part for texts in (*WORDS.values(), FILLERS) for part in texts.values())
        return [Piece(f"\u2581{word}", -float(number)) for number, word in enumerate(joined.split(" "))]


def _rows(language: str, num: int, labels: Sequence[str], rng: random.Random, num_streams: int = 0) -> list[dict]:
    rows, glue = [], "" if language == "zh" else " "
    for number in range(num):
        label = rng.choice(labels)
        words = [*rng.choices(FILLERS[language].split(" "), k=4), *rng.choices(WORDS[language][label].split(" "), k=2)]
        row = {"id": f"{language}{num}/{number}", "text": glue.join(words), "label": label}
        row["split"] = ("train", "dev")[number % 2]
        rows.append(row | ({"stream": f"stream {number % num_streams}"} if num_streams else {}))
    return rows


def _write(file: Path, rows: Sequence[dict]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))


@pytest.fixture(scope="module", name="data")
def _data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("data"), random.Random(0)
    two = ("negative", "positive")
    english = {
        "imdb": (200, two, 40), "imdb_unlabelled": (40, two, 10), "sst2": (80, two, 0), "sst2_dev": (30, two, 0),
        "semeval": (120, CLASSES, 0), "semeval_dev": (40, CLASSES, 0), "topics_2point": (80, two, 20),
        "topics_5point": (40, CLASSES, 10), "airlines": (60, CLASSES, 3),
    }  # fmt: skip
    for name, (num, labels, num_streams) in english.items():
        rows = _rows("en", num, labels, rng, num_streams)
        _write(folder / FILES[name], [{**row, "label": None} for row in rows] if "unlabelled" in name else rows)
    _write(folder / "languages" / "de_tweets_train.jsonl.gz", _rows("de", 200, CLASSES, rng))
    _write(folder / "languages" / "de_tweets_dev.jsonl.gz", _rows("de", 60, CLASSES, rng))
    _write(folder / "languages" / "zh_meals_train.jsonl.gz", _rows("zh", 250, two, rng))
    emoji = [{"text": "what a lovely film", "label": "\U0001f60d"}, {"text": "so bad", "label": "\U0001f62d"}]
    _write(folder / "languages" / "en_emoji_train.jsonl.gz", emoji * 5)
    return folder


@pytest.fixture(scope="module", name="english")
def _english(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("english") / "checkpoint"
    weights = random_weights(SIZES)
    save_checkpoint(
        folder,
        name="english",
        config=SIZES,
        words=ENGLISH,
        weights=weights,
        metrics={"dev_share": 0.2},
        understanding=Understanding(min_known=0.6),
    )
    return folder.parent


@pytest.fixture(autouse=True)
def _small_grammar(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = transfer_sets.training_streams
    monkeypatch.setattr(
        transfer_sets, "training_streams", lambda seed, **_: islice(whole(seed=seed, num_fillings=1), 20)
    )


def _train(english: Path, data: Path, run: Path, **changes: object) -> Path:
    arguments = {"changes": CHANGES, "load_encoder": Encoder, "sizes": VocabularySizes(words=50, continuations=40)}
    return train_languages(english, data, run, show_progress=False, **arguments | changes)


def test_a_network_learns_languages_that_its_english_one_did_not_know(
    english: Path, data: Path, tmp_path: Path
) -> None:
    checkpoint = _train(english, data, tmp_path / "run")
    loaded = load_checkpoint(checkpoint)
    assert loaded.tokenizer == PIECES
    assert loaded.normalisation == NORMALISATIONS[-1]
    assert loaded.understanding == Understanding(languages=("de", "en", "zh"), min_known=0.6)
    [read] = InferenceEngine(loaded).score([Request(0, "der film war wunderbar und sch\u00f6n")])
    assert read.not_understood is None
    assert {"wunderbar", "\u597d\u770b", "\U0001f60d"} <= set(loaded.words)
    assert loaded.words[: len(ENGLISH)] == tuple(ENGLISH)
    evaluation = evaluate_checkpoint(checkpoint, data)
    assert evaluation.row("de_tweets").accuracy > 0.9
    assert evaluation.row("zh_meals").accuracy > 0.9
    card = (checkpoint / "README.md").read_text()
    assert "| de | de_tweets | 60 | " in card
    assert load_checkpoint(english / "checkpoint").fingerprint in card
    assert evaluation.row("semeval_dev").accuracy > 0.6, "half of its targets come from a network of random weights"


def test_a_killed_run_goes_on_and_more_rounds_go_on_from_a_finished_one(
    english: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "SAVE_EVERY", 4)
    whole = _train(english, data, tmp_path / "whole", num_rounds=2)
    steps = 0
    saved = fit.RunFolder.save_step

    def save_then_die(folder: fit.RunFolder, stage: str, loop: fit.TrainingLoop) -> None:
        nonlocal steps
        saved(folder, stage, loop)
        steps += 1
        if steps in {2, 9}:
            raise KeyboardInterrupt

    monkeypatch.setattr(fit.RunFolder, "save_step", save_then_die)
    killed, num_kills = tmp_path / "killed", 0
    for num_rounds in (1, 1, 2, 2):
        try:
            _train(english, data, killed, num_rounds=num_rounds)
        except KeyboardInterrupt:
            num_kills += 1
    assert num_kills == 2
    there, here = (load_checkpoint(folder) for folder in (whole, killed / "checkpoint"))
    assert here.fingerprint == there.fingerprint
    assert (killed / "metrics-1.json").exists()


def test_rounds_go_on_from_the_checkpoint_of_another_run(english: Path, data: Path, tmp_path: Path) -> None:
    first = _train(english, data, tmp_path / "first")
    again = _train(english, data, tmp_path / "again", num_rounds=2, first_round=tmp_path / "first")
    there, here = load_checkpoint(first), load_checkpoint(again)
    assert here.words == there.words
    assert not (tmp_path / "again" / "round-1.safetensors").exists()
    learnt = load_file(tmp_path / "again" / "round-2.safetensors")["readout.weight"]
    mean = (there.weights["readout.weight"] + learnt) / 2
    np.testing.assert_allclose(here.weights["readout.weight"], mean, atol=1e-3)  # of half precision
    assert f"1 round after those of `{there.fingerprint}`" in (again / "README.md").read_text()


def test_a_network_of_one_language_cannot_stand_for_a_first_round(english: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a network of many languages"):
        _train(english, data, tmp_path / "run", num_rounds=2, first_round=english)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("file", "row", "reason"),
    [
        ("xx_tweets_train.jsonl.gz", {"text": "a", "label": "positive"}, "the languages are ar, de"),
        ("tweets.jsonl.gz", {"text": "a", "label": "positive"}, "LANGUAGE_KIND_train"),
        ("fr_tweets_train.jsonl.gz", {"text": "a"}, "no labels"),
        ("fr_tweets_train.jsonl.gz", {"text": "a", "label": "positive"}, "at least two classes"),
        ("fr_tweets_dev.jsonl.gz", None, "none for train"),
        ("en_emoji_train.jsonl.gz", {"text": "a"}, "an emoji as its label"),
    ],
)
def test_a_corpus_that_cannot_be_used_is_refused_before_anything_is_read(
    file: str, row: dict | None, reason: str, english: Path, data: Path, tmp_path: Path
) -> None:
    copytree(data, tmp_path / "data")
    rows = [row] * 3 if row else [{"text": "a", "label": "positive"}, {"text": "b", "label": "negative"}]
    _write(tmp_path / "data" / "languages" / file, rows)
    with pytest.raises(DataError, match=reason):
        _train(english, tmp_path / "data", tmp_path / "run", load_encoder=lambda: pytest.fail("asked for the teacher"))
    assert not (tmp_path / "run").exists()


def _no_encoder() -> Encoder:
    raise ModelError("no teacher")


@pytest.mark.parametrize(
    ("changes", "error"),
    [({"load_encoder": _no_encoder}, ModelError), ({"english": "absent"}, CheckpointError), ({"data": ""}, DataError)],
)
def test_a_teacher_a_start_or_data_that_cannot_be_had_is_said_before_anything_is_written(
    changes: dict[str, object], error: type[Exception], english: Path, data: Path, tmp_path: Path
) -> None:
    start, corpora = Path(str(changes.pop("english", english))), Path(str(changes.pop("data", data)))
    with pytest.raises(error):
        _train(start, corpora, tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


def test_data_without_other_languages_and_a_run_with_other_settings_are_refused(
    english: Path, data: Path, tmp_path: Path
) -> None:
    copytree(data, tmp_path / "data", ignore=ignore_patterns("languages"))
    with pytest.raises(DataError, match="languages/ is needed"):
        _train(english, tmp_path / "data", tmp_path / "run")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text('{"epochs": 9}')
    with pytest.raises(ConfigError, match="other settings"):
        _train(english, data, tmp_path / "run")


def test_sentences_of_the_grammar_are_learnt_with_their_labels_and_are_others_in_every_round() -> None:
    texts, logits = transfer_sets._grammar_set(1)
    labels = {sentence.text: sentence.label for _, sentence in transfer_sets.training_streams(seed=1)}
    assert 20 < len(texts) == len(logits)
    learnt = {text: CLASSES[row.argmax()] for text, row in zip(texts, logits, strict=True)}
    assert labels.items() <= learnt.items()
    assert np.allclose(np.exp(logits).sum(axis=1), 1)
    assert set(texts) != set(transfer_sets._grammar_set(1001)[0])


def test_no_kind_of_the_grammar_buries_the_others() -> None:
    long, short = (
        [Sentence(f"{kind} {number}", "neutral", kind, "en", "") for number in range(num)]
        for kind, num in (("negation_near", transfer_sets.MAX_OF_KIND + 5), ("plain", 7))
    )
    german = [
        Sentence(f"de {number}", "neutral", "plain", "de", "") for number in range(transfer_sets.MAX_OF_LANGUAGE + 5)
    ]
    kept = transfer_sets._evened([*long, *short, *german], np.random.default_rng(1))
    assert Counter((sentence.kind, sentence.language) for sentence in kept) == {
        ("negation_near", "en"): transfer_sets.MAX_OF_KIND,
        ("plain", "en"): 7,
        ("plain", "de"): transfer_sets.MAX_OF_LANGUAGE,
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
        _train(english, data, tmp_path / "run", num_rounds=num_rounds, load_encoder=Counting)
        num_read.append(sum(text.count(" ") == 5 and text.split(" ")[0] in FILLERS["de"].split(" ") for text in read))
    assert num_read[0] == 0
    assert 0 < num_read[1] < num_read[2], "and none is read twice"
    assert len(read) == len(set(read))


def test_the_mean_of_the_last_two_rounds_is_packaged(english: Path, data: Path, tmp_path: Path) -> None:
    _train(english, data, tmp_path / "run", num_rounds=3)
    rounds = [load_file(tmp_path / "run" / f"round-{number}.safetensors")["readout.weight"] for number in (2, 3)]
    packaged = load_checkpoint(tmp_path / "run" / "checkpoint").weights["readout.weight"]
    np.testing.assert_allclose(packaged, np.mean(rounds, axis=0), atol=1e-3)  # of half precision
    assert not np.allclose(packaged, rounds[1], atol=1e-3)


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
