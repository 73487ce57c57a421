"""What a round of the multilingual training reads: sets of texts with the logits of their teachers.

English texts are judged by the English network, which reads thousands of them a second. Texts of other languages have
labels; from the second round on, the probe judges PROBE_TEXTS more tweets of each language in every round. Sentences of
the grammar's training half are drawn again for every round.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from model.behaviour.corpus import training_streams
from model.behaviour.sentences import Sentence
from model.config import LABELS, NUM_CLASSES, TrainConfig
from model.data.corpora import Example
from model.data.languages import TWEETS, LanguageCorpus
from model.data.splits import Splits
from model.inference.batch import Request
from model.inference.engine import InferenceEngine
from model.training.batches import ABSENT
from model.training.distillation.augmentation import sentences, variants
from model.training.distillation.soft_targets import Logits, TeacherLogits
from model.training.multilingual.probe import Probe, cross_fitted
from model.training.multilingual.vector_cache import VectorCache
from model.training.run_folder import RunFolder

MAX_REVIEWS = 8_000  # of a round: a review is as long as ten tweets
MAX_EMOJI_TWEETS = 20_000
PROBE_TEXTS = 2_000  # more tweets of each language in every round after the first
GRAMMAR_DRAWS, GRAMMAR_FILLINGS = 2, 30  # of the grammar in a round; of each template in a draw
GRAMMAR_PROBABILITY = 0.94  # of the label of a sentence of the grammar
PROBABILITIES = {"company_news": 0.5}  # of other kinds: the network is to know that it knows little about them
MAX_OF_KIND = 4_500  # sentences of an English kind, or of another language, in a round: contrasts bury plain words
MAX_WITHOUT_CONTRAST = 9_000  # of an English kind in which no structure turns what the words say
WITHOUT_CONTRAST = {"plain", "names", "places", "identities"}
REPEATED_UP_TO, MAX_REPEATS = 8_000, 4  # a smaller corpus is read several times, each time with other words dropped
LEAST_PROBABILITY = 1e-6
EMOJI_VARIANTS = ("{0}", "{0}{0}{0}", "{0} {0}")

Item = TypeVar("Item")
OnText = Callable[[str, int, int], None]
"""Name of a set, texts done, texts in all."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The texts and teachers that every round draws from."""

    splits: Splits  # of the English corpora
    languages: Mapping[str, LanguageCorpus]
    emoji_tweets: Sequence[tuple[str, str]]
    emoji: Sequence[str]
    english: InferenceEngine
    cache: VectorCache
    config: TrainConfig
    folder: RunFolder  # keeps what the English network finds


def round_sets(sources: Sources, number: int, on_text: OnText) -> tuple[Splits, TeacherLogits]:
    """The sets of round `number`, from 1: the labelled texts, and each set's texts with their teachers' logits.

    The labels of a set's first texts are those of `Splits.labelled`.
    """
    rng = np.random.default_rng((sources.config.seed, number))
    labelled = sources.splits.labelled
    labelled = labelled | {"imdb": _sample(labelled["imdb"], MAX_REVIEWS, rng)}
    labelled |= {name: corpus.train for name, corpus in sources.languages.items() if corpus.language == "en"}
    found = _english_sets(sources, labelled, number, rng, on_text)
    probed = _probed_sets(sources, number, on_text) if number > 1 else {}
    for name, corpus in sources.languages.items():
        if corpus.language == "en":
            continue
        logits = _label_logits(corpus.train, sources.config)
        if name in probed:
            logits[: len(probed[name])] = probed[name]
        repeats = min(MAX_REPEATS, -(-REPEATED_UP_TO // len(corpus.train)))
        texts = [example.text for example in corpus.train]
        more = [variants(texts, 1, seed=1000 * number + n) for n in range(1, repeats)]
        labelled[name] = corpus.train * repeats
        found[name] = list(chain(texts, *more)), np.tile(logits, (repeats, 1))
    if number > 1:
        found["emoji"] = _emoji_set(sources, on_text)
    found["grammar"] = _grammar_set(sources.config.seed + 1000 * number)
    return replace(sources.splits, labelled=labelled), found


def _english_sets(
    sources: Sources,
    labelled: Mapping[str, Sequence[Example]],
    number: int,
    rng: np.random.Generator,
    on_text: OnText,
) -> TeacherLogits:
    config, seed = sources.config, sources.config.seed + 1000 * number
    reviews = [*(example.text for example in labelled["imdb"]), *_sample(sources.splits.unlabelled, MAX_REVIEWS, rng)]
    tweets = _sample(sources.emoji_tweets, MAX_EMOJI_TWEETS, rng)
    plain = {name: [example.text for example in examples] for name, examples in labelled.items()}
    plain |= {
        "sentences": sentences(reviews, config.max_sentences, seed),
        "phrase variants": variants(plain["sst2"], config.phrase_variants, seed),
        "tweet variants": variants(plain["semeval"], config.tweet_variants, seed),
    }
    plain = {name: texts for name, texts in plain.items() if texts}
    if tweets:
        plain["emoji tweets"] = [text for text, _ in tweets]
    saved = sources.folder.load_tensors(f"english-{number}")
    if saved is None:
        read = {name: _engine_logits(sources.english, name, texts, on_text) for name, texts in plain.items()}
        saved = {name: torch.from_numpy(logits) for name, logits in read.items()}
        sources.folder.save_tensors(f"english-{number}", saved)
    if tweets:
        plain["emoji tweets"] = [f"{text} {emoji}" for text, emoji in tweets]
    return {name: (texts, saved[name].numpy()) for name, texts in plain.items()}


def _engine_logits(engine: InferenceEngine, name: str, texts: Sequence[str], on_text: OnText) -> Logits:
    """The log of the network's probabilities, which are for balanced classes."""
    found = np.empty((len(texts), NUM_CLASSES), np.float32)
    for start in range(0, len(texts), 512):
        on_text(name, start, len(texts))
        results = engine.score([Request(number, text) for number, text in enumerate(texts[start : start + 512])])
        found[start : start + len(results)] = [result.probabilities for result in results]
    on_text(name, len(texts), len(texts))
    return np.log(np.maximum(found, LEAST_PROBABILITY))


def _label_logits(examples: Sequence[Example], config: TrainConfig) -> Logits:
    """The logits for balanced classes that stand for the smoothed label alone."""
    labels = np.array([example.label for example in examples], np.intp)
    shares = np.bincount(labels, minlength=NUM_CLASSES) / len(labels)
    evenly = (shares > 0) / np.count_nonzero(shares)
    smoothed = (1 - config.label_smoothing) * np.eye(NUM_CLASSES)[labels] + config.label_smoothing * evenly
    floor = np.exp(ABSENT)
    logits: NDArray[np.float64] = np.log(np.maximum(smoothed, floor)) - np.log(np.maximum(shares, floor))
    return np.where(shares > 0, logits, ABSENT).astype(np.float32)


def _probed_sets(sources: Sources, number: int, on_text: OnText) -> dict[str, Logits]:
    """The cross-fitted logits of the first tweets of each language but English."""
    vectors, labels = {}, {}
    for name, corpus in sources.languages.items():
        if corpus.kind == TWEETS and corpus.language != "en":
            examples = corpus.train[: PROBE_TEXTS * (number - 1)]
            vectors[name] = _read(sources, name, [example.text for example in examples], on_text)
            labels[name] = np.array([example.label for example in examples], np.intp)
    return cross_fitted(vectors, labels, sources.config.seed) if vectors else {}


def _emoji_set(sources: Sources, on_text: OnText) -> tuple[list[str], Logits]:
    """Every emoji alone, judged by a probe of the tweets of all languages."""
    tweets = [corpus for corpus in sources.languages.values() if corpus.kind == TWEETS and corpus.language != "en"]
    examples = [example for corpus in tweets for example in corpus.train[:PROBE_TEXTS]]
    vectors = _read(sources, "tweets", [example.text for example in examples], on_text)
    probe = Probe(vectors, np.array([example.label for example in examples], np.intp))
    logits = probe.logits(_read(sources, "emoji", list(sources.emoji), on_text))
    texts = [variant.format(emoji) for variant in EMOJI_VARIANTS for emoji in sources.emoji]
    return texts, np.tile(logits, (len(EMOJI_VARIANTS), 1))


def _grammar_set(seed: int) -> tuple[list[str], Logits]:
    """Sentences of the grammar, whose labels are nearly certain.

    A kind that stands for texts far from those that the network is for has soft labels, so that its confidence falls
    there: outlier exposure (Hendrycks et al. 2019, "Deep Anomaly Detection with Outlier Exposure").
    """
    draws = (training_streams(seed=seed + n, num_fillings=GRAMMAR_FILLINGS) for n in range(GRAMMAR_DRAWS))
    sentences = _evened([sentence for _, sentence in chain.from_iterable(draws)], np.random.default_rng(seed))
    labels = np.array([LABELS.index(sentence.label) for sentence in sentences], np.intp)
    of_label = np.array([[PROBABILITIES.get(sentence.kind, GRAMMAR_PROBABILITY)] for sentence in sentences])
    others = (1 - of_label) / (NUM_CLASSES - 1)
    probabilities = np.where(np.eye(NUM_CLASSES, dtype=bool)[labels], of_label, others)
    return [sentence.text for sentence in sentences], np.log(probabilities).astype(np.float32)


def _evened(sentences: Sequence[Sentence], rng: np.random.Generator) -> list[Sentence]:
    """The sentences, at most MAX_OF_KIND or MAX_WITHOUT_CONTRAST of each English kind, and of each other language."""
    kinds: dict[str, list[Sentence]] = {}
    for sentence in sentences:
        kinds.setdefault(sentence.kind if sentence.language == "en" else sentence.language, []).append(sentence)
    limits = dict.fromkeys(WITHOUT_CONTRAST, MAX_WITHOUT_CONTRAST)
    kept = (_sample(of_kind, limits.get(kind, MAX_OF_KIND), rng) for kind, of_kind in kinds.items())
    return list(chain.from_iterable(kept))


def _read(sources: Sources, name: str, texts: Sequence[str], on_text: OnText) -> NDArray[np.float32]:
    return sources.cache.vectors(texts, lambda done: on_text(f"vectors of {name}", done, len(texts)))


def _sample(items: Sequence[Item], num: int, rng: np.random.Generator) -> list[Item]:
    return [items[i] for i in sorted(rng.permutation(len(items))[:num])]
