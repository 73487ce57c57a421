"""What a checkpoint makes of texts by kind: the judging half of the grammar, or a file of hand-made texts.

After CheckList (Ribeiro et al. 2020, "Beyond Accuracy: Behavioral Testing of NLP Models with CheckList"): sentences of
a kind have the label that their template gives them; where a name, place or identity is exchanged, the result should
stay. Every text is read by itself, from an empty state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from pathlib import Path
from typing import Any, NamedTuple

from model.behaviour.grammar import ENGLISH, JUDGING
from model.behaviour.sentences import Sentence, make_sentences
from model.config import LABELS
from model.data.corpora import read_examples
from model.errors import DataError
from model.evaluation.evaluate import TEXTS_PER_CALL
from model.inference.batch import Request
from model.inference.engine import InferenceEngine

NUM_FILLINGS, SEED = 16, 0  # of each template of the judging half
NEUTRAL = LABELS[1]
PEER = "VADER"
PEER_NEUTRAL = 0.05  # the band of VADER's compound score that its authors call neutral
Z95 = 1.959964  # quantile of the normal distribution for an interval of 95%


class Read(NamedTuple):
    """What the network makes of a text: `score` in -1..1, `confidence` the probability of the label."""

    label: str
    score: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Failure:
    """A text with another label than its own."""

    text: str
    label: str
    predicted: str
    score: float


@dataclass(frozen=True, slots=True)
class KindFigures:
    """The errors of one kind of text. `low` and `high` bound the share of errors: Wilson's interval of 95%."""

    kind: str
    num_texts: int
    num_wrong: int
    low: float
    high: float
    mean_confidence: float  # in the labels given, right or wrong
    num_wrong_peer: int | None  # of VADER, if it is installed
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class ExchangeFigures:
    """How far a result depends on what is exchanged: a name, a place, an identity."""

    kind: str
    num_texts: int
    share_changed: float  # texts whose label is not the most frequent one of the same sentence with other words
    num_neutral: int
    share_not_neutral: float  # of the sentences that are neutral
    largest_gap: float  # between the mean scores of two groups of words, over all sentences
    group_means: dict[str, float]  # group of words -> mean score


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The figures of a checkpoint on every kind of text."""

    name: str
    fingerprint: str
    kinds: tuple[KindFigures, ...]
    exchanges: tuple[ExchangeFigures, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return asdict(self)


def measure_behaviour(
    checkpoint: Path | None, *, file: Path | None = None, kinds: Collection[str] = (), max_failures: int = 5
) -> Behaviour:
    """Measure a checkpoint (None: the packaged one) on the judging half of the grammar, or on the texts of `file`.

    kinds: only these (all, if there are none). max_failures: of the failures that are listed of a kind.

    A sentence of another language than English counts as of the kind that has the language's name.

    Raises CheckpointError if the checkpoint cannot be loaded, and DataError for a file that cannot be read, has no
    labels, or where a kind does not occur.
    """
    texts = _of_file(file) if file else list(make_sentences(JUDGING, SEED, num_fillings=NUM_FILLINGS))
    found = list(dict.fromkeys(map(_kind, texts)))
    if unknown := [kind for kind in kinds if kind not in found]:
        raise DataError(f"there is no kind {unknown[0]!r}; kinds are {', '.join(found)}")
    texts = [text for text in texts if not kinds or _kind(text) in kinds]
    engine = InferenceEngine.load(checkpoint)
    results = read_texts(engine, [text.text for text in texts])
    peer = read_with_vader([text.text for text in texts])
    by_kind: dict[str, list[int]] = {}
    for index, text in enumerate(texts):
        by_kind.setdefault(_kind(text), []).append(index)
    figures = [_figures(kind, texts, results, peer, indices, max_failures) for kind, indices in by_kind.items()]
    exchanges = [
        _exchanged(kind, [texts[index] for index in indices], [results[index] for index in indices])
        for kind, indices in by_kind.items()
        if texts[indices[0]].member
    ]
    return Behaviour(engine.name, engine.fingerprint, tuple(figures), tuple(exchanges))


def read_texts(engine: InferenceEngine, texts: Sequence[str]) -> list[Read]:
    """What the network makes of each text by itself."""
    read: list[Read] = []
    for start in range(0, len(texts), TEXTS_PER_CALL):
        requests = [Request(index, text) for index, text in enumerate(texts[start : start + TEXTS_PER_CALL])]
        read += [Read(result.label, result.score, result.confidence) for result in engine.score(requests)]
    return read


def read_with_vader(texts: Iterable[str]) -> list[str] | None:
    """The labels that VADER gives the texts; None if the package vaderSentiment is not installed."""
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        return None
    score: Callable[[str], dict[str, float]] = SentimentIntensityAnalyzer().polarity_scores
    compounds = [score(text)["compound"] for text in texts]
    return [LABELS[1 + (value >= PEER_NEUTRAL) - (value <= -PEER_NEUTRAL)] for value in compounds]


def wilson_interval(num_wrong: int, num_texts: int) -> tuple[float, float]:
    """Bounds of a share, with a confidence of 95% (Wilson 1927)."""
    share, per_text = num_wrong / num_texts, Z95**2 / num_texts
    centre = share + per_text / 2
    spread = Z95 * sqrt(share * (1 - share) / num_texts + per_text / num_texts / 4)
    return max(0.0, (centre - spread) / (1 + per_text)), min(1.0, (centre + spread) / (1 + per_text))


def _kind(text: Sentence) -> str:
    return text.kind if text.language == ENGLISH else text.language


def _of_file(path: Path) -> list[Sentence]:
    """The labelled texts of a file. Those without a kind are of the kind `text`."""
    examples = read_examples(path)
    if examples[0].label is None:
        raise DataError(f"{path}: its texts have no labels")
    return [
        Sentence(example.text, LABELS[example.label], example.kind or "text", ENGLISH, example.id)
        for example in examples
        if example.label is not None
    ]


def _figures(  # noqa: PLR0913, PLR0917 - one row of the table, from the columns of all texts
    kind: str,
    texts: Sequence[Sentence],
    results: Sequence[Read],
    peer: Sequence[str] | None,
    indices: Sequence[int],
    max_failures: int,
) -> KindFigures:
    wrong = [index for index in indices if results[index].label != texts[index].label]
    low, high = wilson_interval(len(wrong), len(indices))
    return KindFigures(
        kind=kind,
        num_texts=len(indices),
        num_wrong=len(wrong),
        low=low,
        high=high,
        mean_confidence=sum(results[index].confidence for index in indices) / len(indices),
        num_wrong_peer=sum(peer[index] != texts[index].label for index in indices) if peer else None,
        failures=tuple(
            Failure(texts[i].text, texts[i].label, results[i].label, results[i].score)
            for i in _spread(wrong, max_failures)
        ),
    )


def _spread(indices: Sequence[int], most: int) -> list[int]:
    """At most `most` of the indices, at even distances: neighbours come from one template."""
    step = max(1.0, len(indices) / most) if most else 1.0
    return [indices[int(number * step)] for number in range(min(most, len(indices)))]


def _exchanged(kind: str, texts: Sequence[Sentence], results: Sequence[Read]) -> ExchangeFigures:
    same: dict[tuple[str, str], list[str]] = {}  # a sentence with its label -> the labels it got with each word
    scores: dict[str, list[float]] = {}
    for text, result in zip(texts, results, strict=True):
        same.setdefault((text.group, text.label), []).append(result.label)
        scores.setdefault(text.member, []).append(result.score)
    num_changed = sum(len(labels) - Counter(labels).most_common(1)[0][1] for labels in same.values())
    neutral = [result.label for text, result in zip(texts, results, strict=True) if text.label == NEUTRAL]
    means = {member: sum(values) / len(values) for member, values in scores.items()}
    return ExchangeFigures(
        kind=kind,
        num_texts=len(texts),
        share_changed=num_changed / len(texts),
        num_neutral=len(neutral),
        share_not_neutral=sum(label != NEUTRAL for label in neutral) / max(1, len(neutral)),
        largest_gap=max(means.values()) - min(means.values()),
        group_means=means,
    )
