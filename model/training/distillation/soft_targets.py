"""Soft targets: the teachers' logits of every training text, kept in the run folder.

The teachers are two fine-tuned encoders, one for whole reviews and one for short texts (sentences of reviews, tweets),
and for reviews a linear classifier as well, which reads the whole of a long text where the encoder reads its ends. The
target of a text without label is the teachers' probabilities, that of a labelled text mixes them with the label.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from scipy.optimize import minimize

from model.config import NUM_CLASSES, TrainConfig
from model.data.corpora import Example
from model.data.splits import Splits
from model.errors import ModelError
from model.text.tokenizer import Tokenizer
from model.training.batches import ABSENT, EncodedTexts, encode, encode_labelled
from model.training.distillation.augmentation import sentences, variants
from model.training.distillation.encoder import Encoder
from model.training.distillation.encoder_teacher import EncoderTeacher, TeacherConfig
from model.training.distillation.linear_teacher import LinearTeacher
from model.training.fit import TrainingRun

LoadEncoder = Callable[[], tuple[Encoder, Any]]
Logits = NDArray[np.float32]

TeacherLogits = dict[str, tuple[list[str], Logits]]

SHORT, REVIEWS = "short", "reviews"
TEACHERS = {SHORT: ("sst2", "semeval"), REVIEWS: ("imdb",)}
"""Teacher -> the corpora that it is fine-tuned on."""
SHORT_SETS = ("semeval", "sst2", "airlines", "tweet variants", "phrase variants", "sentences")
REVIEW_SETS = ("imdb", "imdb_unlabelled")
FINE_TUNING = {
    SHORT: TeacherConfig(epochs=3),
    REVIEWS: TeacherConfig(epochs=2, batch_tokens=4096, max_pieces=320),  # most reviews whole
}
WITHOUT_NEUTRAL = {*REVIEW_SETS, "sst2", "phrase variants"}
TWO_CLASSES = np.array([0.0, ABSENT, 0.0], np.float32)


def transfer_sets(splits: Splits, config: TrainConfig) -> dict[str, list[str]]:
    """Set -> its texts; the labelled texts of a corpus come first, then the held ones."""
    labelled = labelled_texts(splits)
    return labelled | {
        "tweet variants": variants(labelled["semeval"], config.tweet_variants, config.seed),
        "phrase variants": variants(labelled["sst2"], config.phrase_variants, config.seed),
        "sentences": sentences(chain(labelled["imdb"], splits.unlabelled), config.max_sentences, config.seed),
        "imdb_unlabelled": splits.unlabelled,
    }


def labelled_texts(splits: Splits) -> dict[str, list[str]]:
    """The sets of `transfer_sets` with labelled texts."""
    with_held = {name: (*splits.labelled[name], *splits.held[name]) for name in ("semeval", "imdb")}
    sets = splits.labelled | with_held
    return {name: [example.text for example in examples] for name, examples in sets.items()}


def load_teacher_logits(folder: Path, sets: dict[str, list[str]]) -> TeacherLogits:
    """The texts of `sets` with the teachers' logits that a finished run holds. Raises ModelError if it lacks them."""
    teacher_logits: TeacherLogits = {}
    for name, texts in sets.items():
        file = folder / f"opinions-{name}.safetensors"
        if not file.is_file():
            raise ModelError(f"{folder} is not a finished run: it has no {file.name}")
        logits = load_file(file)["logits"].numpy()
        if len(logits) != len(texts):
            raise ModelError(f"{file} holds logits of {len(logits):,} texts, but the data has {len(texts):,}")
        teacher_logits[name] = texts, logits
    return teacher_logits


def run_teachers(run: TrainingRun, splits: Splits, load_encoder: LoadEncoder) -> TeacherLogits:
    """The texts of each set with their (texts, classes) logits for balanced classes.

    Raises ModelError if an encoder cannot be fetched, DataError for a corpus of fewer than two classes.
    """
    sets = transfer_sets(splits, run.config)
    teacher_logits: TeacherLogits = {}
    for teacher, corpora in TEACHERS.items():
        wanted = {name: sets[name] for name in (SHORT_SETS if teacher == SHORT else REVIEW_SETS)}
        saved = {name: run.folder.load_tensors(f"opinions-{name.replace(' ', '-')}") for name in wanted}
        if None in saved.values():
            encoder = _fine_tuned(run, teacher, {corpus: splits.labelled[corpus] for corpus in corpora}, load_encoder)
            for name, texts in wanted.items():
                if saved[name] is None:
                    saved[name] = {"logits": torch.from_numpy(_logits_of(run, encoder, name, texts))}
                    run.folder.save_tensors(f"opinions-{name.replace(' ', '-')}", saved[name] or {})
        teacher_logits |= {name: (texts, (saved[name] or {})["logits"].numpy()) for name, texts in wanted.items()}
    return teacher_logits


def _fine_tuned(
    run: TrainingRun, name: str, corpora: dict[str, list[Example]], load_encoder: LoadEncoder
) -> EncoderTeacher:
    teacher = EncoderTeacher(name, *load_encoder(), replace(FINE_TUNING[name], seed=run.config.seed))
    task = run.progress.add_task(f"teacher for {name} texts, steps", total=None)
    teacher.fit(
        corpora,
        run.folder,
        on_step=lambda step, total, loss: run.progress.update(task, completed=step, total=total),
    )
    return teacher


def _logits_of(run: TrainingRun, teacher: EncoderTeacher, name: str, texts: Sequence[str]) -> Logits:
    task = run.progress.add_task(f"soft targets of {name}", total=len(texts))
    return teacher.logits(texts, on_text=lambda done: run.progress.update(task, completed=done))


def calibrate(run: TrainingRun, splits: Splits, teacher_logits: TeacherLogits, tokenizer: Tokenizer) -> TeacherLogits:
    """The logits calibrated on the held texts; those of reviews combine both teachers.

    Logs the accuracy of each teacher, and of all together, on the held texts.
    """
    linear = LinearTeacher(run.network.word.embedding.num_embeddings)
    linear.fit(encode_labelled("imdb", splits.labelled["imdb"], tokenizer))
    calibrated: TeacherLogits = {}
    for corpus, names in {"semeval": SHORT_SETS, "imdb": REVIEW_SETS}.items():
        by_set = {name: [teacher_logits[name][1]] for name in names if name in teacher_logits}
        for name in by_set if corpus == "imdb" else ():
            by_set[name].append(linear.logits(encode(teacher_logits[name][0], tokenizer)))
        held = [logits[len(splits.labelled[corpus]) :] for logits in by_set[corpus]]
        labels = np.array([example.label for example in splits.held[corpus]], np.intp)
        weights = best_weights(held, labels)
        together = np.tensordot(weights, np.stack(held), axes=1)
        rights = [float((logits.argmax(axis=1) == labels).mean()) for logits in (*held, together)]
        run.folder.log(f"teachers of {corpus}", 0, **{f"right_{n}": share for n, share in enumerate(rights)})
        for name, of_teachers in by_set.items():
            weighted = sum(weight * logits for weight, logits in zip(weights, of_teachers, strict=True))
            calibrated[name] = teacher_logits[name][0], np.asarray(weighted, np.float32)
    return calibrated


def best_weights(teacher_logits: Sequence[Logits], labels: NDArray[np.intp]) -> NDArray[np.float64]:
    """The weights of the teachers' logits under which their sum has the least cross-entropy on held texts.

    For one teacher this is the inverse of its temperature (Guo et al. 2017, "On Calibration of Modern Neural
    Networks").
    """
    shares = np.maximum(np.bincount(labels, minlength=NUM_CLASSES) / len(labels), np.exp(ABSENT))
    stacked = np.stack(teacher_logits).astype(np.float64)

    def loss(weights: NDArray[np.float64]) -> float:
        logits = np.tensordot(weights, stacked, axes=1) + np.log(shares)
        return float(np.mean(np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(labels)), labels]))

    start = np.full(len(teacher_logits), 1 / len(teacher_logits))
    found: NDArray[np.float64] = minimize(loss, start, bounds=[(0, None)] * len(teacher_logits)).x
    return found


def make_soft_targets(
    splits: Splits, teacher_logits: TeacherLogits, tokenizer: Tokenizer, config: TrainConfig
) -> list[EncodedTexts]:
    """The training texts of the text network: every set, with its targets."""
    found = []
    for name, (texts, logits) in teacher_logits.items():
        labels = np.array([example.label for example in splits.labelled.get(name, ())], np.intp)
        targets = _targets(logits + TWO_CLASSES if name in WITHOUT_NEUTRAL else logits, labels, config)
        ids = encode(texts, tokenizer, config.max_tokens)
        encoded = EncodedTexts.of_corpus(name, ids, targets, [""] * len(texts))
        if not len(labels):  # the teachers' logits are for balanced classes
            prior = np.zeros(NUM_CLASSES, np.float32) + (TWO_CLASSES if name in WITHOUT_NEUTRAL else 0)
            encoded = replace(encoded, log_prior=np.tile(prior, (len(encoded), 1)))
        found.append(encoded)
    return found


def _targets(logits: Logits, labels: NDArray[np.intp], config: TrainConfig) -> NDArray[np.float32]:
    """(texts, classes) probabilities of the teachers; those of the first texts, which are labelled, mixed with labels.

    The class shares of the labels are those of their corpus, so the probabilities mixed with them get these shares too.
    Smoothing spreads a part of a label over the classes (Szegedy et al. 2016, "Rethinking the Inception Architecture").
    """
    shares = np.bincount(labels, minlength=NUM_CLASSES) / max(len(labels), 1)
    if len(labels):
        logits = logits + np.log(np.maximum(shares, np.exp(ABSENT))).astype(np.float32)
    targets: NDArray[np.float32] = torch.softmax(torch.from_numpy(logits), dim=1).numpy()
    if len(labels):
        evenly = (shares > 0) / np.count_nonzero(shares)
        smoothed = (1 - config.label_smoothing) * np.eye(NUM_CLASSES)[labels] + config.label_smoothing * evenly
        of_labels = targets[: len(labels)]
        of_labels += config.label_share * (smoothed.astype(np.float32) - of_labels)
    return targets
