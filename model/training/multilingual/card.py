"""The model card of a multilingual network."""

from __future__ import annotations

from model.checkpoint import Checkpoint
from model.config import ModelConfig
from model.data.languages import HELPERS, LANGUAGES
from model.evaluation.behaviour import Behaviour
from model.evaluation.by_language import LANGUAGE_HEADINGS, rows_by_language, tweets_line
from model.evaluation.calibration_error import NUM_BINS
from model.evaluation.evaluate import Evaluation
from model.training.model_card import bad_at, figure_rows

_CARD = """# {name}

Reads tweets and reviews in {languages}, and gives each text probabilities of negative, neutral and positive; with the
state of its stream, an earlier text bears on the next. Fingerprint `{fingerprint}`.

## Network
One-directional word LSTM, {sizes.hidden_size} cells over word vectors of {sizes.embedding_size}; readout of the last,
highest and mean hidden state; a stream LSTM of {sizes.stream_size} cells that steps once a text. Vocabulary of
{sizes.num_words:,} words and pieces: scripts without spaces are cut by longest match, unknown words into known pieces.
{sizes.num_buckets:,} rows are shared by what has no piece.

## Training
1. It began as the English network `{english.fingerprint}`, with its words, weights and all that these had learnt.
2. Words of other languages, emoji and pieces got first vectors from multilingual-e5-small, which read each by itself,
   mapped into the space of the English network's vectors.
3. {rounds} over labelled texts of all languages: English ones with the soft targets of that English network;
   tweets in others, from the second round on, with those of a logistic regression on the encoder's vectors; and
   sentences of a grammar (`model/behaviour`): negation, turns, facts, names exchanged, emoji.
4. The stream cell, on English films and topics; the temperature by a text's length, on English texts whose labels no
   stage had seen, and what each other language adds to it, on such texts of that language.

## Figures
Measured by `sentiment evaluate` on the files in this folder, on texts that no stage learnt from. 95%: Wilson's interval
of an accuracy, a bootstrap over the texts of a macro-F1. On data with two classes the network chooses between the two.

{by_language}

{tweets}

reset: each text from an empty state. carried: in the order of its stream. shuffled: the control, the same texts dealt
out to streams at random. Calibration error is over {num_bins} bins of confidence; by
chance: what it would be if every confidence were the chance of being right.

| corpus | read | texts | accuracy | macro recall | calibration error | by chance |
|---|---|---|---|---|---|---|
{rows}

{bad_at}

## Limits
Sentiment as the labellers of these corpora saw it; irony mostly missed. Languages that are not named here are not read,
whatever the confidence. German, Spanish, French, Hindi, Italian, Portuguese and Arabic were learnt from 1,800 tweets
each; Chinese, Korean, Japanese, Indonesian and Norwegian from reviews, so their tweets are less surely read. Hindi is
mostly in Latin letters. Probabilities hold for classes that are equally frequent. Carrying was learnt from English
reviews of one film; on other kinds of streams, measure it against the shuffled control first.
"""


def rounds_text(num_rounds: int, known: Checkpoint | None) -> str:
    """How many rounds there were. `known` is the network that stood for that after the first one."""
    if known is None:
        return f"{num_rounds} rounds"
    more = num_rounds - 1
    return f"{more} {'round' if more == 1 else 'rounds'} after those of `{known.fingerprint}`,"


def languages_card(
    sizes: ModelConfig, evaluation: Evaluation, behaviour: Behaviour, english: Checkpoint, rounds: str
) -> str:
    """The card's text, in Markdown. `rounds`: see rounds_text."""
    table = [LANGUAGE_HEADINGS, ("---",) * len(LANGUAGE_HEADINGS), *rows_by_language(evaluation)]
    return _CARD.format(
        name=evaluation.name,
        fingerprint=evaluation.fingerprint,
        languages=", ".join(language for code, language in LANGUAGES.items() if code not in HELPERS),
        sizes=sizes,
        english=english,
        rounds=rounds,
        by_language="\n".join(f"| {' | '.join(cells)} |" for cells in table),
        tweets=tweets_line(evaluation),
        num_bins=NUM_BINS,
        rows=figure_rows(evaluation.rows),
        bad_at=bad_at(behaviour),
    )
