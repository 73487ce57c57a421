"""Training, from texts to a checkpoint, in the order in which it happens.

1. Read the corpora; hold a share of the films out for evaluation, and another for steps 4 and 5.
2. Make the vocabulary, and word vectors for the embedding to start from.
3. Have a linear classifier label the unlabelled reviews, and train the text network on all corpora together; the last
   epochs do without the unlabelled, so that people have the last word. Each corpus counts on its own classes alone:
   the log of its class shares is added to the logits in the loss (next to nothing for a class it lacks), so that the
   network itself learns what holds for balanced classes (Menon et al. 2021, "Long-tail learning via logit
   adjustment").
4. Train the stream cell on whole films, the text network frozen: only on films that were held back from it. On those
   that it learnt from it is surer (95% against 90% right) than it will be of new ones, and a cell that is taught on
   them as well trusts the past too long: it found turns of mood in simulated streams up to 90 texts late instead of
   40. Tweets on one topic gain from what films teach, and lost when the few topics there are were taught as well.
5. Fit the temperature (Guo et al. 2017, "On Calibration of Modern Neural Networks").
6. Write the checkpoint, and measure it as it will be served.

A killed run goes on where it stood: step 2's vectors and step 3's every SAVE_EVERY steps are on disk, and each step's
random numbers come from its own number, so that it ends with the weights of a run that was never stopped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from model.batches import Ids, Texts, encode, encode_labelled
from model.card import model_card
from model.checkpoint import save_checkpoint
from model.config import ModelConfig, TrainConfig
from model.data import FILES, Example, read_corpora, split_by_stream
from model.evaluate import evaluate_checkpoint
from model.fit import Training, corpus_loss, fit_stream_cell, fit_text_network, read_texts
from model.network import SentimentNetwork
from model.runs import RunFolder
from model.teacher import LinearTeacher
from model.vectors import import_gensim, make_tokenizer, train_word_vectors

TEMPERATURES = np.geomspace(0.4, 4.0, 200)
DEFAULT_SIZES = ModelConfig()


def train_checkpoint(  # noqa: PLR0913 - three are what to do, three have defaults
    config: TrainConfig,
    data: Path,
    run: Path,
    *,
    sizes: ModelConfig = DEFAULT_SIZES,
    name: str = "default",
    show_progress: bool = True,
) -> Path:
    """Train a network on the data folder, in the run folder, and return the folder of its checkpoint.

    `sizes.num_words` is the most that the vocabulary may hold. Raises DataError for data that cannot be read and
    ConfigError where `run` holds a run with other settings, before anything is trained.
    """
    import_gensim("models")  # its absence is told before anything is read
    torch.set_num_threads(config.threads)
    corpora = read_corpora(data, FILES)
    folder = RunFolder(run, sizes, config)
    with _progress(show_progress) as progress:
        with _shown(progress, "vocabulary and ids"):
            parts = split_corpora(corpora, config)
            words, tokenizer = make_tokenizer(parts.all_texts, sizes.num_words, sizes.num_buckets)
            folder.check_words(words)
            sizes = replace(sizes, num_words=len(words))
            train, held = (
                {corpus: encode_labelled(corpus, part, tokenizer, config.max_tokens) for corpus, part in side.items()}
                for side in (parts.train, parts.held)
            )
        torch.manual_seed(config.seed)
        network = SentimentNetwork(
            sizes,
            embedding_dropout=config.dropout_embedding,
            word_dropout=config.dropout_word,
            output_dropout=config.dropout_output,
        )
        training = Training(network, config, folder, progress)
        _start_embedding(training, sizes, encode(parts.all_texts, tokenizer))
        with _shown(progress, "labels for the unlabelled reviews"):
            unlabelled = _taught(train["imdb"], encode(parts.unlabelled, tokenizer, config.max_tokens), sizes)
        fit_text_network(training, train, unlabelled, held)
        fit_stream_cell(training, held["imdb"])
        network.temperature.fill_(_best_temperature(network, held))
        folder.log("temperature", 0, temperature=network.temperature.item())

        weights = network.tensors()
        save = partial(
            save_checkpoint, folder.checkpoint, name=name, config=sizes, words=words, weights=weights, half=True
        )
        save(metrics={"dev_share": config.dev_share, "split_seed": config.split_seed})
        with _shown(progress, "evaluation"):
            evaluation = evaluate_checkpoint(folder.checkpoint, data)
        save(metrics=evaluation.to_dict(), card=model_card(sizes, config, evaluation))
    return folder.checkpoint


@dataclass(frozen=True, slots=True)
class Parts:
    """What the text network learns from, what is held back from it, and what has no labels."""

    train: dict[str, list[Example]]
    held: dict[str, list[Example]]
    unlabelled: list[str]  # reviews; none of a film that is held out for evaluation

    @property
    def all_texts(self) -> list[str]:
        """All texts that the vocabulary and the word vectors may be made from."""
        labelled = chain(*self.train.values(), *self.held.values())
        return [*(example.text for example in labelled), *self.unlabelled]


def split_corpora(corpora: dict[str, list[Example]], config: TrainConfig) -> Parts:
    """Hold `dev_share` of the films out, then `held_share` of every corpus back.

    Whole films, and of the other corpora single texts, fall on one side.
    """
    shares = (config.dev_share, config.held_share)
    _, held_films, train_films = split_by_stream(corpora["imdb"], shares, config.split_seed)
    _, unlabelled = split_by_stream(corpora["imdb_unlabelled"], shares[:1], config.split_seed)
    held, train = {"imdb": held_films}, {"imdb": train_films}
    for name in ("sst2", "semeval"):
        held[name], train[name] = split_by_stream(corpora[name], shares[1:], config.split_seed)
    return Parts(train, held, [example.text for example in unlabelled])


def _start_embedding(run: Training, sizes: ModelConfig, ids: Sequence[NDArray[np.int32]]) -> None:
    """Word vectors into the embedding: those of the run, else new ones."""
    saved = run.folder.load_tensors("vectors")
    if saved is None:
        task = run.progress.add_task("word vectors, epochs", total=run.config.vector_epochs)
        vectors = train_word_vectors(
            ids,
            sizes,
            num_epochs=run.config.vector_epochs,
            seed=run.config.seed,
            on_epoch=lambda epoch: run.progress.update(task, completed=epoch),
        )
        saved = {"vectors": torch.from_numpy(vectors)}
        run.folder.save_tensors("vectors", saved)
    with torch.no_grad():
        run.network.word.embedding.weight.copy_(saved["vectors"])


def _taught(labelled: Texts, unlabelled: list[Ids], sizes: ModelConfig) -> Texts:
    """Unlabelled reviews with the probabilities that a linear classifier of the labelled ones gives them."""
    teacher = LinearTeacher(sizes.num_rows)
    teacher.fit(labelled)
    return Texts.of_corpus("imdb_unlabelled", unlabelled, teacher.targets(unlabelled), [""] * len(unlabelled))


def _best_temperature(network: SentimentNetwork, held: dict[str, Texts]) -> float:
    """The temperature of least loss over texts that the text network did not learn from, each corpus alike."""
    read = [(read_texts(network, texts)[1], texts) for texts in held.values()]

    def loss(temperature: float) -> float:
        return sum(corpus_loss(logits / temperature, texts, np.arange(len(texts))).item() for logits, texts in read)

    return float(min(TEMPERATURES, key=loss))


def _progress(shown: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not shown)


@contextmanager
def _shown(progress: Progress, what: str) -> Iterator[None]:
    """A bar for a step that cannot say how far it is."""
    task = progress.add_task(what, total=None)
    yield
    progress.update(task, total=1, completed=1)
