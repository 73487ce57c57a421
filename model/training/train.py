"""The training of the shipped network, from the data directory to a checkpoint with its figures: one run, in stages.

    1  vocabulary       data/splits.py              the most frequent words of all texts
    2  language model   language_model.py           the word LSTM learns to predict the next word
    3  teachers         distillation/               fine-tuned encoders give soft targets, with and without labels
    4  text network     fit.py                      word LSTM and readout learn from labels and from the soft targets
    5  stream cell      stream_cell.py              on streams whose labels no earlier stage has seen
    6  temperature      temperatures.py             on texts whose labels the text network has not seen
    7  evaluation       evaluation/evaluate.py      on the dev splits, as `sentiment evaluate` does

Every stage leaves its result in the run folder, from which an interrupted run resumes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from model.checkpoint import save_checkpoint
from model.config import ModelConfig, TrainConfig, Understanding
from model.data.corpora import FILES, read_corpora
from model.data.splits import Splits, split_corpora
from model.evaluation.behaviour import Behaviour, measure_behaviour
from model.evaluation.evaluate import Evaluation, evaluate_checkpoint
from model.evaluation.plots import check_plot_file, draw_run
from model.text.tokenizer import Tokenizer
from model.training.batches import EncodedTexts, encode, encode_labelled
from model.training.distillation.encoder import load_pretrained
from model.training.distillation.soft_targets import LoadEncoder, calibrate, make_soft_targets, run_teachers
from model.training.fit import TrainingRun, fit_text_network
from model.training.language_model import fit_language_model
from model.training.model_card import model_card
from model.training.run_folder import RunFolder
from model.training.stream_cell import fit_stream_cell
from model.training.temperatures import fit_by_language, fit_temperature
from model.training.torch_network import SentimentNetwork
from model.vectors.word2vec import make_tokenizer

DEFAULT_SIZES = ModelConfig()


def train_checkpoint(  # noqa: PLR0913 - three say what to do, four have defaults
    config: TrainConfig,
    data: Path,
    run: Path,
    *,
    sizes: ModelConfig = DEFAULT_SIZES,
    name: str = "default",
    show_progress: bool = True,
    load_encoder: LoadEncoder = load_pretrained,
) -> Path:
    """Train a network on the data directory `data`, in the run folder `run`, and return the path of its checkpoint.

    `sizes.num_words` bounds the vocabulary. Before anything is trained, raises DataError for data that cannot be read
    and ConfigError if `run` holds a run with other settings; raises ModelError if the teachers' pretrained encoder
    cannot be fetched.
    """
    torch.set_num_threads(config.threads)
    corpora = read_corpora(data, FILES)
    folder = RunFolder(run, sizes, config)
    check_plot_file(run / "curve.svg")
    with shown_progress(show_progress) as progress:
        with _shown(progress, "vocabulary and ids"):
            splits = split_corpora(corpora, config)
            read = _language_texts(splits, config)
            words, tokenizer = make_tokenizer(read, sizes.num_words, sizes.num_buckets)
            folder.check_words(words)
            sizes = replace(sizes, num_words=len(words))
        training = TrainingRun(new_network(sizes, config), config, folder, progress)
        fit_language_model(training, [ids for ids in encode(read, tokenizer) if len(ids)])
        teacher_logits = run_teachers(training, splits, load_encoder)
        with _shown(progress, "a linear classifier reads the reviews"):
            teacher_logits = calibrate(training, splits, teacher_logits, tokenizer)
        held = encode_held(splits, tokenizer)
        fit_text_network(training, make_soft_targets(splits, teacher_logits, tokenizer, config), held)
        metrics = {"dev_share": config.dev_share, "split_seed": config.split_seed}
        finish(training, PreparedData(words, tokenizer, splits, held), sizes, data, name, metrics)
    return folder.checkpoint


@dataclass(frozen=True, slots=True)
class PreparedData:
    """A network's vocabulary and tokenizer, the texts that its later stages learn from, and what it understands."""

    words: Sequence[str]
    tokenizer: Tokenizer
    splits: Splits
    held: dict[str, EncodedTexts]
    understanding: Understanding = field(default_factory=Understanding)
    dev_languages: Mapping[str, EncodedTexts] = field(default_factory=dict)  # of each but English, for its temperature


def finish(  # noqa: PLR0913, PLR0917 - a checkpoint has that many parts
    run: TrainingRun,
    prepared: PreparedData,
    sizes: ModelConfig,
    data: Path,
    name: str,
    metrics: Mapping[str, Any],
    write_card: Callable[[ModelConfig, TrainConfig, Evaluation, Behaviour], str] = model_card,
) -> None:
    """Run the stages after the text network. `metrics` tell the evaluation which films were held out."""
    words, splits, tokenizer, held = prepared.words, prepared.splits, prepared.tokenizer, prepared.held
    topics = encode_labelled("topics", splits.topics, tokenizer, run.config.max_tokens)
    other_films = [*splits.labelled["imdb"], *splits.dev_films]
    sizes = fit_stream_cell(run, held["imdb"], topics, other_films, sizes)
    fit_temperature(run, held)
    by_language = fit_by_language(run, prepared.dev_languages)
    weights = run.network.tensors()
    save = partial(
        save_checkpoint,
        run.folder.checkpoint,
        name=name,
        config=sizes,
        words=words,
        weights=weights,
        understanding=prepared.understanding,
        half=True,
        tokenizer=tokenizer.version,
        normalisation=tokenizer.normalisation,
        log_temperature_by_language=by_language,
    )
    save(metrics=metrics)
    with _shown(run.progress, "evaluation"):
        evaluation = evaluate_checkpoint(run.folder.checkpoint, data)
        behaviour = measure_behaviour(run.folder.checkpoint)
    save(metrics=evaluation.to_dict(), card=write_card(sizes, run.config, evaluation, behaviour))
    draw_run(run.folder.path)


def new_network(sizes: ModelConfig, config: TrainConfig) -> SentimentNetwork:
    """A network with random weights and the dropout of `config`."""
    torch.manual_seed(config.seed)
    return SentimentNetwork(
        sizes,
        embedding_dropout=config.dropout_embedding,
        word_dropout=config.dropout_word,
        output_dropout=config.dropout_output,
    )


def _language_texts(splits: Splits, config: TrainConfig) -> list[str]:
    """The texts of the vocabulary and the language model; tweets are repeated, since they are few beside reviews."""
    tweets = {"semeval", "airlines"}
    repeated = {name: config.language_tweets if name in tweets else 1 for name in splits.all_texts}
    return [text for name, texts in splits.all_texts.items() for text in texts * repeated[name]]


def encode_held(splits: Splits, tokenizer: Tokenizer) -> dict[str, EncodedTexts]:
    """The held texts, each whole as in serving: the temperature depends on a text's length."""
    return {name: encode_labelled(name, part, tokenizer) for name, part in splits.held.items()}


def shown_progress(shown: bool) -> Progress:
    """Progress bars on the terminal, or none."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not shown)


@contextmanager
def _shown(progress: Progress, what: str) -> Iterator[None]:
    """A bar for a step of unknown length."""
    task = progress.add_task(what, total=None)
    yield
    progress.update(task, total=1, completed=1)
