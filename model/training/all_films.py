"""A finished network also learns from the films that were held out for every choice: to be served, not measured.

It learns once more from the labelled corpora, now with the reviews of the dev films; then its stream cell and its
temperature are fitted again. Vocabulary, language model and teachers stay as they are: they have seen no dev film.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from model.checkpoint import Checkpoint, load_checkpoint
from model.config import ModelConfig, TrainConfig
from model.data.corpora import FILES, read_corpora
from model.data.splits import split_corpora
from model.evaluation.plots import check_plot_file
from model.files import read_settings
from model.training.batches import encode_labelled
from model.training.distillation.soft_targets import calibrate, labelled_texts, load_teacher_logits, make_soft_targets
from model.training.fit import TrainingRun, fit_text_network
from model.training.run_folder import RunFolder
from model.training.torch_network import SentimentNetwork
from model.training.train import PreparedData, encode_held, finish, new_network, shown_progress

RATE_SHARE = 0.2  # of the learning rate: the network must not forget what it learnt from texts without labels


def train_on_all_films(
    finished: Path, data: Path, run: Path, *, name: str = "default", show_progress: bool = True
) -> Path:
    """Train the network of the run folder `finished` further, in `run`; return the path of the new checkpoint.

    The evaluation of `finished` is kept as the rehearsal. Raises ConfigError or CheckpointError if `finished` is not a
    finished run or has already learnt from all films, DataError for data that cannot be read or differs from that of
    `finished`, and ConfigError if `run` holds another run.
    """
    sizes, before = read_settings(finished)
    checkpoint = load_checkpoint(finished / "checkpoint")
    config = replace(before, all_films=True)
    sizes = replace(sizes, num_words=len(checkpoint.words))
    torch.set_num_threads(config.threads)
    splits = split_corpora(read_corpora(data, FILES), config)
    teacher_logits = load_teacher_logits(finished, labelled_texts(splits))
    folder = RunFolder(run, sizes, config)
    check_plot_file(run / "curve.svg")
    with shown_progress(show_progress) as progress:
        tokenizer = checkpoint.make_tokenizer()
        training = TrainingRun(_text_network(checkpoint, sizes, config), config, folder, progress)
        targets = make_soft_targets(splits, calibrate(training, splits, teacher_logits, tokenizer), tokenizer, config)
        targets.append(encode_labelled("imdb", splits.dev_films, tokenizer, config.max_tokens))
        held = encode_held(splits, tokenizer)
        prepared = PreparedData(checkpoint.words, tokenizer, splits, held, checkpoint.understanding)
        once_more = replace(config, epochs=1, learning_rate=RATE_SHARE * config.learning_rate)
        fit_text_network(replace(training, config=once_more), targets, prepared.held)
        metrics = {"dev_share": 0.0, "split_seed": config.split_seed, "rehearsal": checkpoint.metrics}
        finish(training, prepared, sizes, data, name, metrics)
    return folder.checkpoint


def _text_network(checkpoint: Checkpoint, sizes: ModelConfig, config: TrainConfig) -> SentimentNetwork:
    """The text network of the checkpoint, without stream cell and temperature."""
    there = SentimentNetwork(checkpoint.config)
    there.load_tensors(checkpoint.weights)
    network = new_network(sizes, config)
    network.word.load_state_dict(there.word.state_dict())
    network.readout.load_state_dict(there.readout.state_dict())
    return network
