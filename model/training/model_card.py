"""The model card that is stored beside the weights, written from the measured figures."""

from __future__ import annotations

from collections.abc import Iterable

from model.config import LABELS, ModelConfig, TrainConfig
from model.evaluation.behaviour import Behaviour, KindFigures
from model.evaluation.calibration_error import NUM_BINS
from model.evaluation.evaluate import Evaluation, Row
from model.evaluation.turns import Turn

_CARD = """# {name}

Reads tweets and reviews in English and gives each text probabilities of negative, neutral and positive; with the state
of its stream, an earlier text bears on the next. Fingerprint `{fingerprint}`.

## Network
One-directional word LSTM, {sizes.hidden_size} cells over word vectors of {sizes.embedding_size}; readout of the last,
highest and mean hidden state; a stream LSTM of {sizes.stream_size} cells that steps once a text. Vocabulary of
{sizes.num_words:,} words, and {sizes.num_buckets:,} rows that unknown words share. The stream moves the logits of
positive and negative by at most {sizes.stream_bound}, against each other, and decides neither for nor against neutral.

## Training
1. A language model: the word LSTM learnt which word comes next, in {config.language_epochs} epochs over
   the reviews, labelled and unlabelled, and the tweets.
2. Two teachers: the sentence encoder bge-small-en-v1.5 (33 million parameters), fine-tuned on IMDB's reviews, and on
   SST-2 and SemEval together. They judged the reviews, at most {config.max_sentences:,} sentences of reviews,
   the tweets, and changed versions of the tweets and of SST-2's sentences.
3. The text network: {config.epochs} epochs on all of that at once, seed {config.seed}.
   Where there is a label, it counts {config.label_share:.0%}, smoothed by {config.label_smoothing:.0%}; the teachers'
   opinion counts the rest.
   Data with two classes trains the two probabilities alone.
4. The stream cell, on {config.held_share:.0%} of the films and {config.held_topics:.0%} of the topics of tweets; the
   temperature, which goes with the length of a text, on these films and on other sentences and tweets: texts that the
   text network had read, but whose labels neither it nor the teachers had seen. From the other films the stream cell
   learnt how labels follow each other, each standing with a review of the {config.held_share:.0%} that has that label.

{films}

## Figures
Measured by `sentiment evaluate` on the files in this folder. reset: each text from an empty state. carried: in the
order of its stream. shuffled: the control, the same texts dealt out to streams at random. On data with two classes the
network chooses between the two. Calibration error is over {num_bins} bins of confidence; by
chance: what it would be if every confidence were the chance of being right.

| corpus | read | texts | accuracy | macro recall | calibration error | by chance |
|---|---|---|---|---|---|---|
{rows}

{confusions}
{rehearsal}

### Turns
Own sentences (`model/evaluation/turn_texts.py`): 30 of one kind, then one of another. Turned: right alone, and wrong
in the stream.

| 30 texts | then one | texts | right alone | turned | labelled like the 30: alone | in the stream |
|---|---|---|---|---|---|---|
{turns}

imdb: films held out of training, split by a hash of the film. sst2_dev, semeval_dev: the published development sets.
airlines: the later tweets of a corpus in order of time, of which the network had seen the earlier.
topics_2point, topics_5point: SemEval 2016 tweets by topic, published development topics, as two and as three classes.

{bad_at}

## Limits
English; sentiment as the labellers of films and tweets saw it, irony mostly missed. Probabilities hold for classes that
are equally frequent: where neutral or positive texts abound, they are called too rarely. Carrying was learnt from
reviews of one film; on other kinds of streams, measure it against the shuffled control first.
"""

BAD_SHARE = 0.1
_BAD_AT = """## What it is bad at
Of the {num_kinds} kinds of own sentences of `sentiment behaviour`, those of which it reads {share:.0%} or more
wrongly. A row with a language's code holds that language's sentences of all kinds, the others English ones. Confidence:
the mean of the label given, right or wrong.

| kind | texts | errors | 95% | confidence |
|---|---|---|---|---|
{rows}"""
_HELD_OUT = "These are the weights of the network that never saw the {:.0%} of the films below."
_ALL_FILMS = """Between 3 and 4, the network read the labelled texts once more, and with them the reviews of the films
that it had held out so far. So these are the weights of a network that learnt from all films: none is left to measure
it on."""
_REHEARSAL = """### On films: the rehearsal
The network with which all was chosen, from which this one went on, had never seen {rehearsal.dev_share:.0%} of the
films. On their reviews it scored (fingerprint `{rehearsal.fingerprint}`; measured then, not on the files here):

| corpus | read | texts | accuracy | macro recall | calibration error | by chance |
|---|---|---|---|---|---|---|
{rows}

{confusions}
"""


def model_card(sizes: ModelConfig, config: TrainConfig, evaluation: Evaluation, behaviour: Behaviour) -> str:
    """The card's text, in Markdown."""
    return _CARD.format(
        name=evaluation.name,
        fingerprint=evaluation.fingerprint,
        sizes=sizes,
        config=config,
        evaluation=evaluation,
        num_bins=NUM_BINS,
        films=_HELD_OUT.format(evaluation.dev_share) if evaluation.dev_share else _ALL_FILMS,
        rows=figure_rows(evaluation.rows),
        confusions=_confusions(evaluation.rows),
        rehearsal=_rehearsal(evaluation.rehearsal) if evaluation.rehearsal else "",
        turns="\n".join(map(_turn, evaluation.turns)),
        bad_at=bad_at(behaviour),
    )


def bad_at(behaviour: Behaviour) -> str:
    """A section with the kinds of text, and the languages, of which BAD_SHARE or more are read wrongly; worst first."""
    kinds = sorted(behaviour.kinds, key=lambda kind: kind.num_wrong / kind.num_texts, reverse=True)
    rows = [_kind_row(kind) for kind in kinds if kind.num_wrong >= BAD_SHARE * kind.num_texts]
    return _BAD_AT.format(share=BAD_SHARE, num_kinds=len(kinds), rows="\n".join(rows))


def _kind_row(kind: KindFigures) -> str:
    interval = f"{kind.low:.1%} to {kind.high:.1%}"
    errors = f"{kind.num_wrong / kind.num_texts:.1%}"
    return f"| {kind.kind} | {kind.num_texts:,} | {errors} | {interval} | {kind.mean_confidence:.2f} |"


def _rehearsal(rehearsal: Evaluation) -> str:
    rows = [row for row in rehearsal.rows if row.corpus == "imdb"]
    section = _REHEARSAL.format(rehearsal=rehearsal, rows=figure_rows(rows), confusions=_confusions(rows))
    return f"\n{section}"


def figure_rows(rows: Iterable[Row]) -> str:
    """The lines of a table of figures, in Markdown."""
    return "\n".join(
        f"| {row.corpus} | {row.mode} | {row.num_texts:,} | {row.accuracy:.1%} | {row.macro_recall:.3f} "
        f"| {row.calibration_error:.3f} | {_by_chance(row)} |"
        for row in rows
    )


def _by_chance(row: Row) -> str:
    return "" if row.calibration_error_by_chance is None else f"{row.calibration_error_by_chance:.3f}"


def _turn(turn: Turn) -> str:
    figures = turn.num_texts, turn.num_right, turn.num_turned, turn.num_like_before_alone, turn.num_like_before
    return f"| {turn.before} | {turn.then} | " + " | ".join(map(str, figures)) + " |"


def _confusions(rows: Iterable[Row]) -> str:
    """The confusion matrix of every row: a line for each class that its texts have."""
    lines = ["| corpus | read | true class | " + " | ".join(f"read as {label}" for label in LABELS) + " |"]
    lines.append("|---" * (3 + len(LABELS)) + "|")
    for row in rows:
        for label, counts in zip(LABELS, row.confusion, strict=True):
            if any(counts):
                lines.append(f"| {row.corpus} | {row.mode} | {label} | " + " | ".join(f"{n:,}" for n in counts) + " |")
    return "\n".join(lines)
