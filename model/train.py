"""The shipped network's training, from the data folder to a checkpoint with its figures: one run, in stages.

    1  vocabulary       model/parts.py         the most frequent words of all that may be read
    2  language model   model/language.py      the word LSTM learns which word comes next
    3  teachers         model/teaching.py      fine-tuned encoders say what they think of labelled and unlabelled texts
    4  text network     model/fit.py           word LSTM and readout learn from labels and from the teachers' opinions
    5  stream cell      model/fit.py           on streams whose labels nothing before has seen
    6  temperature      model/fit.py           on texts whose labels the text network has not seen
    7  evaluation       model/evaluate.py      on the dev parts, as `sentiment evaluate` does

Every stage leaves its result in the run folder, and a run that was cut off goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from model.batches import Texts, encode, encode_labelled
from model.card import model_card
from model.checkpoint import save_checkpoint
from model.config import ModelConfig, TrainConfig
from model.data import FILES, read_corpora
from model.encoder import load_pretrained
from model.evaluate import evaluate_checkpoint
from model.fit import Training, fit_stream_cell, fit_temperature, fit_text_network
from model.language import fit_language_model
from model.network import SentimentNetwork
from model.parts import Parts, split_corpora
from model.plots import check_plot_file, draw_run
from model.runs import RunFolder
from model.teaching import LoadEncoder, ask_teachers, calibrate, lessons
from model.tokenizer import Tokenizer
from model.vectors import make_tokenizer

DEFAULT_SIZES = ModelConfig()


def train_checkpoint(  # noqa: PLR0913 - three are what to do, five have defaults
    config: TrainConfig,
    data: Path,
    run: Path,
    *,
    sizes: ModelConfig = DEFAULT_SIZES,
    name: str = "default",
    begin: Path | None = None,
    show_progress: bool = True,
    load_encoder: LoadEncoder = load_pretrained,
) -> Path:
    """Train a network on the data folder, in the run folder, and return the folder of its checkpoint.

    `sizes.num_words` is the most that the vocabulary may hold. `begin`: the folder of another run, whose vocabulary,
    language model, teachers and opinions this one takes over. Raises DataError for data that cannot be read and
    ConfigError where `run` holds a run with other settings or cannot begin with `begin`, before anything is trained;
    ModelError where the teachers' pretrained encoder cannot be had.
    """
    torch.set_num_threads(config.threads)
    corpora = read_corpora(data, FILES)
    folder = RunFolder(run, sizes, config, begin)
    check_plot_file(run / "curve.svg")
    with _progress(show_progress) as progress:
        with _shown(progress, "vocabulary and ids"):
            parts = split_corpora(corpora, config)
            read = _language_texts(parts, config)
            words, tokenizer = make_tokenizer(read, sizes.num_words, sizes.num_buckets)
            folder.check_words(words)
            sizes = replace(sizes, num_words=len(words))
        torch.manual_seed(config.seed)
        network = SentimentNetwork(
            sizes,
            embedding_dropout=config.dropout_embedding,
            word_dropout=config.dropout_word,
            output_dropout=config.dropout_output,
        )
        training = Training(network, config, folder, progress)
        fit_language_model(training, [ids for ids in encode(read, tokenizer) if len(ids)])
        answers = ask_teachers(training, parts, load_encoder)
        with _shown(progress, "a linear classifier's opinions of the reviews"):
            answers = calibrate(training, parts, answers, tokenizer)
        held = _encode_held(parts, tokenizer)
        fit_text_network(training, lessons(parts, answers, tokenizer, config), held)
        topics = encode_labelled("topics", parts.topics, tokenizer, config.max_tokens)
        sizes = fit_stream_cell(training, [held["imdb"], topics], sizes)
        fit_temperature(training, held)

        weights = network.tensors()
        save = partial(
            save_checkpoint, folder.checkpoint, name=name, config=sizes, words=words, weights=weights, half=True
        )
        save(metrics=_held_out(config, folder))
        with _shown(progress, "evaluation"):
            evaluation = evaluate_checkpoint(folder.checkpoint, data)
        save(metrics=evaluation.to_dict(), card=model_card(sizes, config, evaluation))
        draw_run(run)
    return folder.checkpoint


def _held_out(config: TrainConfig, folder: RunFolder) -> dict[str, Any]:
    """What the evaluation must know of the training: which films it held out, or what was measured before on those."""
    if not config.all_films:
        return {"dev_share": config.dev_share, "split_seed": config.split_seed}
    return {"dev_share": 0.0, "split_seed": config.split_seed, "rehearsal": folder.rehearsal()}


def _language_texts(parts: Parts, config: TrainConfig) -> list[str]:
    """What the vocabulary and the language model are made from."""
    tweets = {"semeval", "airlines"}
    repeated = {name: config.language_tweets if name in tweets else 1 for name in parts.all_texts}
    return [text for name, texts in parts.all_texts.items() for text in texts * repeated[name]]


def _encode_held(parts: Parts, tokenizer: Tokenizer) -> dict[str, Texts]:
    """Whole, as texts are served: how long they are is what the temperature goes by."""
    return {name: encode_labelled(name, part, tokenizer) for name, part in parts.held.items()}


def _progress(shown: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not shown)


@contextmanager
def _shown(progress: Progress, what: str) -> Iterator[None]:
    """A bar for a step that cannot say how far it is."""
    task = progress.add_task(what, total=None)
    yield
    progress.update(task, total=1, completed=1)
