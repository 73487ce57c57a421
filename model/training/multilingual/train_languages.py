"""The training of the multilingual network: it goes on from an English one, in rounds that can be added to.

    1  vocabulary       vocabulary.py      the English words, emoji, words and pieces of all languages
    2  first vectors    first_vectors.py   of the new words: the encoder's, mapped into the English network's space
    3  a round          transfer_sets.py   texts of all languages with the teachers' soft targets, drawn anew
                        fit.py             one pass over them
    4  stream cell, temperature, evaluation: as in train.py; they make a checkpoint of the mean of the last two rounds

Every stage leaves its result in the run folder, from which an interrupted run resumes. A finished run goes on where
more rounds are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from itertools import chain
from operator import add
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from rich.progress import Progress

from model.checkpoint import EMBEDDING, Checkpoint, load_checkpoint
from model.config import ModelConfig, TrainConfig, Understanding
from model.data.corpora import FILES, Example, read_corpora
from model.data.languages import HELPERS, TWEETS, LanguageCorpus, read_emoji_tweets, read_language_corpora
from model.data.splits import Splits, split_corpora, without_same_texts
from model.errors import DataError
from model.evaluation.evaluate import Evaluation
from model.evaluation.plots import check_plot_file
from model.files import write_whole
from model.inference.engine import InferenceEngine
from model.text.plain_forms import NORMALISATIONS
from model.text.tokenizer import PIECES, Tokenizer
from model.training.batches import EncodedTexts, encode_labelled
from model.training.distillation.soft_targets import make_soft_targets
from model.training.fit import TrainingRun, fit_text_network
from model.training.multilingual.card import languages_card
from model.training.multilingual.e5 import E5, TextEncoder
from model.training.multilingual.first_vectors import first_vectors
from model.training.multilingual.transfer_sets import Sources, held_languages, round_sets
from model.training.multilingual.vector_cache import VectorCache
from model.training.multilingual.vocabulary import VocabularySizes, emoji_of, make_vocabulary
from model.training.run_folder import RunFolder
from model.training.stream_cell import NUM_CELLS
from model.training.torch_network import SentimentNetwork
from model.training.train import PreparedData, encode_held, finish, new_network, shown_progress

DEFAULTS = TrainConfig(epochs=1, learning_rate=1e-3, max_sentences=40_000, tweet_variants=1, phrase_variants=2)
STREAM_BOUND = 0.6  # of what a stream adds: clear texts have smaller margins here than in English networks
RATE_DECAY = 0.85  # of the learning rate from each round to the next
TWEET_CORPORA = ("semeval", "semeval_dev", "topics_2point", "topics_5point", "airlines")
HELD = "languages"  # name of the held texts of all languages but English, whose accuracy is logged


def train_languages(  # noqa: PLR0913 - three say what to do, the others have defaults
    english: Path,
    data: Path,
    run: Path,
    *,
    changes: Mapping[str, Any] = MappingProxyType({}),
    num_rounds: int = 1,
    name: str = "default",
    show_progress: bool = True,
    load_encoder: Callable[[], TextEncoder] = E5.load,
    sizes: VocabularySizes = VocabularySizes(),  # noqa: B008 - frozen
) -> Path:
    """Train a network of many languages, which begins as the checkpoint `english`, and return its checkpoint's path.

    `changes` are hyperparameters that differ from DEFAULTS. Before anything is trained, raises CheckpointError if
    `english` cannot be loaded, DataError for a corpus that cannot be read, has no labels or is of an unknown language,
    ModelError if the encoder cannot be had, and ConfigError if `run` holds a run with other settings.
    """
    config = replace(DEFAULTS, **changes)
    torch.set_num_threads(config.threads)
    begin = load_checkpoint(english / "checkpoint" if (english / "checkpoint").is_dir() else english)
    corpora, languages = read_corpora(data, FILES), read_language_corpora(data)
    if not languages:
        raise DataError(f"{data} has no corpora of other languages: a folder languages/ is needed")
    emoji_tweets = read_emoji_tweets(data)
    encoder = load_encoder()
    folder = RunFolder(run, begin.config, config)
    check_plot_file(run / "curve.svg")
    with shown_progress(show_progress) as progress:
        splits, languages = _apart(split_corpora(corpora, config), corpora, languages)
        kept, held_texts = held_languages(languages, config)
        words = _vocabulary(folder, begin, kept, encoder, sizes)
        tokenizer = Tokenizer(words, begin.config.num_buckets, PIECES, normalisation=NORMALISATIONS[-1])
        held = encode_held(splits, tokenizer)
        cache = VectorCache(run / "vectors.e5", encoder)
        source = Sources(splits, kept, emoji_tweets, emoji_of(words), InferenceEngine(begin), cache, config, folder)
        network_sizes = _sizes(begin, len(words))
        weights = _first_weights(folder, begin, words, cache, network_sizes, config, progress)
        understanding = _understanding(begin, kept)
        prepared = PreparedData(words, tokenizer, splits, held, understanding, _held(languages, held_texts, tokenizer))
        for number in range(1, num_rounds + 1):
            network = new_network(network_sizes, config)
            network.load_state_dict(weights)
            rate = config.learning_rate * RATE_DECAY ** (number - 1)
            training = TrainingRun(network, replace(config, learning_rate=rate), folder, progress)
            before, weights = weights, _run_round(training, source, prepared, number)
            if number > 1:
                network.load_state_dict(_mean(before, weights))
            _finish_round(training, prepared, network_sizes, begin, data, name, number)
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
    folder: RunFolder,
    begin: Checkpoint,
    languages: dict[str, LanguageCorpus],
    encoder: TextEncoder,
    sizes: VocabularySizes,
) -> list[str]:
    texts = [example.text for corpus in languages.values() if corpus.language != "en" for example in corpus.train]
    words = make_vocabulary(begin.words, texts, encoder.pieces(), sizes)
    folder.check_words(words)
    return words


def _held(
    languages: Mapping[str, LanguageCorpus], held: Mapping[str, Sequence[Example]], tokenizer: Tokenizer
) -> dict[str, list[EncodedTexts]]:
    """The held texts of the corpora of each language but English."""
    found: dict[str, list[EncodedTexts]] = {}
    for name, examples in held.items():
        language = languages[name].language
        if examples and language not in {"en", *HELPERS}:
            found.setdefault(language, []).append(encode_labelled(name, examples, tokenizer))
    return found


def _understanding(begin: Checkpoint, languages: Mapping[str, LanguageCorpus]) -> Understanding:
    """What the English network understands, and the languages of the corpora that a promise is made for."""
    codes = {*begin.understanding.languages, *(corpus.language for corpus in languages.values())}
    return replace(begin.understanding, languages=tuple(sorted(codes - HELPERS)))


def _sizes(begin: Checkpoint, num_words: int) -> ModelConfig:
    """The sizes of the network and its stream's bound, with those of one of the stream cells that are merged."""
    there = begin.config
    return replace(
        there,
        num_words=num_words,
        stream_bound=STREAM_BOUND,
        summary_size=max(1, there.summary_size // NUM_CELLS),
        stream_size=max(1, there.stream_size // NUM_CELLS),
    )


def _first_weights(  # noqa: PLR0913, PLR0917
    folder: RunFolder,
    begin: Checkpoint,
    words: Sequence[str],
    cache: VectorCache,
    sizes: ModelConfig,
    config: TrainConfig,
    progress: Progress,
) -> dict[str, torch.Tensor]:
    """The weights before the first round: those of the English network, and first vectors for the new words."""
    there = SentimentNetwork(begin.config)
    there.load_tensors(begin.weights)
    network = new_network(sizes, config)
    saved = folder.load_tensors("first-vectors")
    if saved is None:
        task = progress.add_task("first vectors of words", total=len(words))
        known = begin.weights[EMBEDDING].astype(np.float32)
        vectors = first_vectors(
            words, known[: len(begin.words)], cache, on_word=lambda done: progress.update(task, completed=done)
        )
        saved = {"vectors": torch.from_numpy(np.concatenate([vectors, known[len(begin.words) :]]))}
        folder.save_tensors("first-vectors", saved)
    network.word.embedding.weight.data.copy_(saved["vectors"])
    network.word.lstm.load_state_dict(there.word.lstm.state_dict())
    network.readout.load_state_dict(there.readout.state_dict())
    return network.state_dict()


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
        others = list(chain.from_iterable(prepared.held_languages.values()))
        held = prepared.held | ({HELD: reduce(add, others)} if others else {})
        fit_text_network(replace(training, config=config), targets, held, stage=f"text-{number}")
        saved = {key: tensor.clone() for key, tensor in training.network.state_dict().items()}
        training.folder.save_tensors(f"round-{number}", saved)
        training.folder.remove_step(f"text-{number}")
    training.network.load_state_dict(saved)
    return saved


def _mean(before: Mapping[str, torch.Tensor], weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What is packaged: the mean of the weights after the last two rounds.

    Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization". Training goes on from the
    weights of the last round.
    """
    return {name: torch.lerp(before[name], tensor, 0.5) for name, tensor in weights.items()}


def _finish_round(  # noqa: PLR0913, PLR0917
    training: TrainingRun,
    prepared: PreparedData,
    sizes: ModelConfig,
    begin: Checkpoint,
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

    def card(finished: ModelConfig, _: TrainConfig, evaluation: Evaluation) -> str:
        return languages_card(finished, evaluation, begin, number)

    finish(training, prepared, sizes, data, name, metrics, card)
    write_whole(figures, (training.folder.checkpoint / "metrics.json").read_bytes())
