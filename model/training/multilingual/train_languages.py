"""The training of the multilingual network: it goes on from an English one, in rounds that can be added to.

    1  vocabulary       vocabulary.py      the English words, emoji, words and pieces of all languages
    2  first vectors    first_vectors.py   of the new words: the encoder's, mapped into the English network's space
    3  a round          transfer_sets.py   texts of all languages with the teachers' soft targets, drawn anew
                        fit.py             one pass over them
    4  stream cell, temperature, evaluation: as in train.py; they make a checkpoint of the mean of the last rounds

Every stage leaves its result in the run folder, from which an interrupted run resumes. A finished run goes on where
more rounds are asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from model.checkpoint import Checkpoint
from model.config import ModelConfig, TrainConfig, Understanding
from model.data.corpora import FILES, Example, read_corpora
from model.data.languages import HELPERS, TWEETS, LanguageCorpus, read_emoji_tweets, read_language_corpora
from model.data.splits import Splits, split_corpora, without_same_texts
from model.errors import DataError
from model.evaluation.behaviour import Behaviour
from model.evaluation.evaluate import Evaluation
from model.evaluation.plots import check_plot_file
from model.files import write_whole
from model.inference.engine import InferenceEngine
from model.text.plain_forms import NORMALISATIONS
from model.text.tokenizer import PIECES, Tokenizer
from model.training.batches import EncodedTexts, encode_labelled
from model.training.distillation.soft_targets import make_soft_targets
from model.training.fit import TrainingRun, fit_text_network
from model.training.multilingual.card import languages_card, rounds_text
from model.training.multilingual.e5 import E5, TextEncoder
from model.training.multilingual.starts import (
    first_weights,
    load_start,
    network_sizes,
    read_first_round,
    text_network_weights,
)
from model.training.multilingual.transfer_sets import Sources, round_sets
from model.training.multilingual.vector_cache import VectorCache
from model.training.multilingual.vocabulary import VocabularySizes, emoji_of, make_vocabulary
from model.training.run_folder import RunFolder
from model.training.train import PreparedData, encode_held, finish, new_network, shown_progress

DEFAULTS = TrainConfig(epochs=1, learning_rate=1e-3, max_sentences=40_000, tweet_variants=1, phrase_variants=2)
RATE_DECAY = 0.85  # of the learning rate from each round to the next
TWEET_CORPORA = ("semeval", "semeval_dev", "topics_2point", "topics_5point", "airlines")
AVERAGED_ROUNDS = 4  # the last ones, whose mean is packaged


def train_languages(  # noqa: PLR0913 - three say what to do, the others have defaults
    english: Path,
    data: Path,
    run: Path,
    *,
    changes: Mapping[str, Any] = MappingProxyType({}),
    num_rounds: int = 1,
    first_round: Path | None = None,
    name: str = "default",
    show_progress: bool = True,
    load_encoder: Callable[[], TextEncoder] = E5.load,
    sizes: VocabularySizes = VocabularySizes(),  # noqa: B008 - frozen
) -> Path:
    """Train a network of many languages, which begins as the checkpoint `english`, and return its checkpoint's path.

    `changes` are hyperparameters that differ from DEFAULTS. `first_round` is a checkpoint of many languages whose
    network stands for that after the first round, so that rounds go on from a network whose run is gone. Before
    anything is trained, raises CheckpointError if a checkpoint cannot be loaded or is not of many languages, DataError
    for a corpus that cannot be read, has no labels or is of an unknown language, ModelError if the encoder cannot be
    had, and ConfigError if `run` holds a run with other settings.
    """
    config = replace(DEFAULTS, **changes)
    torch.set_num_threads(config.threads)
    begin = load_start(english)
    known = None if first_round is None else read_first_round(first_round)
    corpora, languages = read_corpora(data, FILES), read_language_corpora(data)
    if not languages:
        raise DataError(f"{data} has no corpora of other languages: a folder languages/ is needed")
    emoji_tweets = read_emoji_tweets(data)
    encoder = load_encoder()
    folder = RunFolder(run, begin.config, config)
    check_plot_file(run / "curve.svg")
    with shown_progress(show_progress) as progress:
        splits, languages = _apart(split_corpora(corpora, config), corpora, languages)
        words = _vocabulary(begin, languages, encoder, sizes) if known is None else list(known.words)
        folder.check_words(words)
        tokenizer = Tokenizer(words, begin.config.num_buckets, PIECES, normalisation=NORMALISATIONS[-1])
        held = encode_held(splits, tokenizer)
        cache = VectorCache(run / "vectors.e5", encoder)
        source = Sources(
            splits, languages, emoji_tweets, emoji_of(words), InferenceEngine(begin), cache, config, folder
        )
        sizes_of_network = network_sizes(begin, len(words))
        if known is None:
            weights = first_weights(folder, begin, words, cache, sizes_of_network, config, progress)
        else:
            weights = text_network_weights(known, sizes_of_network, config)
        understanding = _understanding(begin, languages)
        prepared = PreparedData(words, tokenizer, splits, held, understanding, _dev(languages, tokenizer))
        latest = deque([] if known is None else [weights], maxlen=AVERAGED_ROUNDS)
        for number in range(1 if known is None else 2, num_rounds + 1):
            network = new_network(sizes_of_network, config)
            network.load_state_dict(weights)
            rate = config.learning_rate * RATE_DECAY ** (number - 1)
            training = TrainingRun(network, replace(config, learning_rate=rate), folder, progress)
            weights = _run_round(training, source, prepared, number)
            latest.append(weights)
            network.load_state_dict(_mean(latest))
            _finish_round(training, prepared, sizes_of_network, begin, known, data, name, number)
    return folder.checkpoint


def _apart(
    splits: Splits, corpora: Mapping[str, list[Example]], languages: Mapping[str, LanguageCorpus]
) -> tuple[Splits, dict[str, LanguageCorpus]]:
    """Both without the training texts that the other measures or learns from: English corpora share tweets."""
    shared = {name: corpus for name, corpus in languages.items() if (corpus.language, corpus.kind) == ("en", TWEETS)}
    measured = [example for corpus in shared.values() for example in corpus.dev]
    tweets = [example for name in TWEET_CORPORA for example in corpora[name]]
    labelled = {name: without_same_texts(splits.labelled[name], measured) for name in ("semeval", "airlines")}
    apart = {name: replace(corpus, train=without_same_texts(corpus.train, tweets)) for name, corpus in shared.items()}
    kept = {name: corpus for name, corpus in apart.items() if len({example.label for example in corpus.train}) > 1}
    others = {name: corpus for name, corpus in languages.items() if name not in shared}
    return replace(splits, labelled=splits.labelled | labelled), others | kept


def _vocabulary(
    begin: Checkpoint,
    languages: dict[str, LanguageCorpus],
    encoder: TextEncoder,
    sizes: VocabularySizes,
) -> list[str]:
    texts = [example.text for corpus in languages.values() if corpus.language != "en" for example in corpus.train]
    return make_vocabulary(begin.words, texts, encoder.pieces(), sizes)


def _dev(languages: Mapping[str, LanguageCorpus], tokenizer: Tokenizer) -> dict[str, EncodedTexts]:
    """The texts of each language but English that nobody learns from."""
    found: dict[str, EncodedTexts] = {}
    for name, corpus in languages.items():
        if corpus.language not in {"en", *HELPERS}:
            texts = encode_labelled(name, corpus.dev, tokenizer)
            found[corpus.language] = found[corpus.language] + texts if corpus.language in found else texts
    return found


def _understanding(begin: Checkpoint, languages: Mapping[str, LanguageCorpus]) -> Understanding:
    """What the English network understands, and the languages of the corpora that a promise is made for."""
    codes = {*begin.understanding.languages, *(corpus.language for corpus in languages.values())}
    return replace(begin.understanding, languages=tuple(sorted(codes - HELPERS)))


def _run_round(training: TrainingRun, source: Sources, prepared: PreparedData, number: int) -> dict[str, torch.Tensor]:
    """Fit the text network on the sets of one round, and return the network's weights; a finished round is loaded."""
    saved = training.folder.load_tensors(f"round-{number}")
    if saved is None:
        tasks: dict[str, int] = {}

        def on_text(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = training.progress.add_task(f"round {number}, {name}", total=total)
            training.progress.update(tasks[name], completed=done)  # type: ignore[arg-type]

        splits, teacher_logits = round_sets(source, number, on_text)
        targets = make_soft_targets(splits, teacher_logits, prepared.tokenizer, training.config)
        config = replace(training.config, seed=training.config.seed + number - 1)
        fit_text_network(replace(training, config=config), targets, prepared.held, stage=f"text-{number}")
        saved = {key: tensor.clone() for key, tensor in training.network.state_dict().items()}
        training.folder.save_tensors(f"round-{number}", saved)
        training.folder.remove_step(f"text-{number}")
    training.network.load_state_dict(saved)
    return saved


def _mean(latest: Collection[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """What is packaged: the mean of the weights after the last AVERAGED_ROUNDS rounds.

    Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization". Training goes on from the
    weights of the last round.
    """
    return {name: torch.stack([weights[name] for weights in latest]).mean(0) for name in next(iter(latest))}


def _finish_round(  # noqa: PLR0913, PLR0917
    training: TrainingRun,
    prepared: PreparedData,
    sizes: ModelConfig,
    begin: Checkpoint,
    known: Checkpoint | None,
    data: Path,
    name: str,
    number: int,
) -> None:
    """Make the round's checkpoint, unless that has been done; its figures stay in metrics-NUMBER.json."""
    figures = training.folder.path / f"metrics-{number}.json"
    if figures.exists():
        return
    metrics = {
        key: begin.metrics[key]
        for key in ("dev_share", "split_seed", "rehearsal")
        if begin.metrics.get(key) is not None
    }

    def card(finished: ModelConfig, _: TrainConfig, evaluation: Evaluation, behaviour: Behaviour) -> str:
        return languages_card(finished, evaluation, behaviour, begin, rounds_text(number, known))

    finish(training, prepared, sizes, data, name, metrics, card)
    write_whole(figures, (training.folder.checkpoint / "metrics.json").read_bytes())
