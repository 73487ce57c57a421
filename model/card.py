"""The model card that lies beside the weights, written from what was measured."""

from __future__ import annotations

from model.config import ModelConfig, TrainConfig
from model.evaluate import NUM_BINS, Evaluation

_CARD = """# {name}

Reads tweets and reviews in English and gives each text probabilities of negative, neutral and positive; with the state
of its stream, an earlier text bears on the next. Fingerprint `{fingerprint}`.

## Network
One-directional word LSTM, {sizes.hidden_size} cells over word vectors of {sizes.embedding_size}; readout of the last,
highest and mean hidden state; a stream LSTM of {sizes.stream_size} cells that steps once a text. Vocabulary of
{sizes.num_words:,} words, and {sizes.num_buckets:,} rows that unknown words share.

## Training
Word vectors by word2vec from all training texts, then {config.epochs} epochs on IMDB, SST-2 and SemEval together, seed
{config.seed}; the first {config.unlabelled_epochs} also read IMDB's unlabelled reviews, as labelled by a linear
classifier of words and word pairs. Data with two classes trains the two probabilities alone. The stream
cell learnt from {config.held_share:.0%} of the remaining films, and the temperature from these and as many of the other
texts; the text network had seen none of them. These are the weights of the network that never saw the
{evaluation.dev_share:.0%} of the films below: none were trained on all films afterwards. The knobs of the stream cell
were chosen on the films below.

## Figures
Measured by `sentiment evaluate` on the files in this folder. reset: each text from an empty state. carried: in the
order of its stream. shuffled: the control, the same texts dealt out to streams at random. On data with two classes the
network chooses between the two. Calibration error is over {num_bins} bins of confidence.

| corpus | read | texts | accuracy | macro recall | calibration error |
|---|---|---|---|---|---|
{rows}

imdb: films held out of training, split by a hash of the film. sst2_dev, semeval_dev: the published development sets.
topics_2point, topics_5point: SemEval 2016 tweets by topic, published development topics, as two and as three classes.

## Limits
English; sentiment as the labellers of films and tweets saw it, irony mostly missed. Probabilities hold for classes that
are equally frequent: where neutral or positive texts abound, they are called too rarely. Carrying was learnt from
reviews of one film; on other kinds of streams, measure it against the shuffled control first.
"""


def model_card(sizes: ModelConfig, config: TrainConfig, evaluation: Evaluation) -> str:
    """The card's text, in Markdown."""
    rows = "\n".join(
        f"| {row.corpus} | {row.mode} | {row.num_texts:,} | {row.accuracy:.1%} | {row.macro_recall:.3f} "
        f"| {row.calibration_error:.3f} |"
        for row in evaluation.rows
    )
    return _CARD.format(
        name=evaluation.name,
        fingerprint=evaluation.fingerprint,
        sizes=sizes,
        config=config,
        evaluation=evaluation,
        num_bins=NUM_BINS,
        rows=rows,
    )
