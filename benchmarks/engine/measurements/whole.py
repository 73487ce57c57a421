"""The whole engine with the packaged network, from texts to sentiment, including tokenisation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from benchmarks.engine.figures import Bar, BenchRow
from benchmarks.engine.measurements.path import measure_path
from benchmarks.engine.timing import best_seconds, cpu_seconds
from model.checkpoint import Checkpoint
from model.errors import ComparisonError
from model.inference.batch import Request
from model.inference.engine import InferenceEngine, Result
from model.inference.kernels.recurrence import CPU_PRECISIONS, CpuPrecision
from model.text.tokenizer import Tokenizer

AGAINST_VADER = Bar(2.0)
TOKENISING_US = Bar(5.0, is_least=False)
HOT_COST = Bar(1.05, is_least=False)

HOT_SHARE = 0.3  # of the texts of a batch are of one stream
NUM_PIECES = 4  # of a text
TOLERANCE = 1e-5  # of probabilities, however a text is split


def measure_whole(
    checkpoint: Checkpoint, texts: Sequence[str], batch: int, num_rounds: int, on_progress: Callable[[str], None]
) -> list[BenchRow]:
    """All rows of the whole engine.

    The first half of `texts` is read untimed, since a worker's caches are warm. Raises ComparisonError if a text in
    pieces gets another result than the whole text.
    """
    on_progress("the whole path beside VADER")
    before, timed = texts[: len(texts) // 2], texts[len(texts) // 2 :]
    rows = [
        *(_against_vader(checkpoint, precision, before, timed, batch, num_rounds) for precision in CPU_PRECISIONS),
        _tokenising(checkpoint, before, timed, batch, num_rounds),
    ]
    on_progress("the whole path over its word network")
    rows += measure_path(checkpoint, before, timed, batch, num_rounds)
    on_progress("hot streams and pieces")
    engine = InferenceEngine(checkpoint)
    return [*rows, _hot_stream(engine, timed, batch, num_rounds), _pieces(engine, timed, batch, num_rounds)]


def _against_vader(  # noqa: PLR0913, PLR0917 - the texts, and how they are read
    checkpoint: Checkpoint,
    precision: CpuPrecision,
    before: Sequence[str],
    timed: Sequence[str],
    batch: int,
    num_rounds: int,
) -> BenchRow:
    analyzer = SentimentIntensityAnalyzer()
    seconds: list[tuple[float, float]] = []
    for _ in range(num_rounds):
        engine = InferenceEngine(checkpoint, precision=precision)
        read_alone(engine, before, batch)
        of_ours = cpu_seconds(partial(read_alone, engine, timed, batch))
        seconds.append((of_ours, cpu_seconds(lambda: [analyzer.polarity_scores(text) for text in timed])))
    ours, vader = (len(timed) / min(each) for each in zip(*seconds, strict=True))
    return BenchRow(
        name=f"whole score path against VADER, {precision}",
        value=ours / vader,
        unit="x",
        bar=AGAINST_VADER,
        note=f"{ours:,.0f} and {vader:,.0f} texts/s on one core",
    )


def _tokenising(
    checkpoint: Checkpoint, before: Sequence[str], timed: Sequence[str], batch: int, num_rounds: int
) -> BenchRow:
    fresh, again = [], []
    for _ in range(num_rounds):
        tokenizer = checkpoint.make_tokenizer()
        tokenise(tokenizer, before, batch)
        fresh.append(cpu_seconds(partial(tokenise, tokenizer, timed, batch)))
        again.append(cpu_seconds(partial(tokenise, tokenizer, timed, batch)))
    return BenchRow(
        name="tokenising a tweet",
        value=1e6 * min(fresh) / len(timed),
        unit="us",
        bar=TOKENISING_US,
        note=f"read once more: {1e6 * min(again) / len(timed):.1f} us",
    )


def _hot_stream(engine: InferenceEngine, texts: Sequence[str], batch: int, num_rounds: int) -> BenchRow:
    apart = batches_of([Request(number, text) for number, text in enumerate(texts)], batch)
    together = [with_hot_stream(requests) for requests in apart]
    of_apart, of_together = best_seconds([partial(read, engine, calls) for calls in (apart, together)], num_rounds)
    return BenchRow(
        name=f"cost with {HOT_SHARE:.0%} of a batch in one stream",
        value=of_together / of_apart,
        unit="x",
        bar=HOT_COST,
        note=f"against the same texts on {batch} streams",
    )


def with_hot_stream(requests: Sequence[Request]) -> list[Request]:
    """The same texts, with HOT_SHARE of them, evenly spread, on one stream."""
    num_hot = max(round(HOT_SHARE * len(requests)), 1)
    hot = set(np.linspace(0, len(requests) - 1, num_hot).astype(np.intp).tolist())
    return [request._replace(stream="hot") if at in hot else request for at, request in enumerate(requests)]


def _pieces(engine: InferenceEngine, texts: Sequence[str], batch: int, num_rounds: int) -> BenchRow:
    """Raises ComparisonError if pieces give another result than the whole text."""
    num_texts = max(batch // NUM_PIECES, 1)
    whole = batches_of([Request(number, text) for number, text in enumerate(texts)], num_texts)
    cut = [[piece for request in requests for piece in pieces_of(request)] for requests in whole]
    check_pieces(engine.score(whole[0]), engine.score(cut[0]), cut[0])
    of_whole, of_cut = best_seconds([partial(read, engine, calls) for calls in (whole, cut)], num_rounds)
    return BenchRow(
        name=f"cost of texts in up to {NUM_PIECES} pieces",
        value=of_cut / of_whole,
        unit="x",
        note=f"against whole texts, {num_texts} in a batch; each piece is a request with a result of its own",
    )


def pieces_of(request: Request) -> list[Request]:
    """Requests for the pieces of a text, split at up to NUM_PIECES - 1 of its spaces."""
    words = request.text.split(" ")
    bounds = sorted({len(words) * number // NUM_PIECES for number in range(NUM_PIECES + 1)})
    texts = [" ".join(words[begin:end]) for begin, end in pairwise(bounds)]
    return [Request(request.stream, f"{text} ", final=False) for text in texts[:-1]] + [
        Request(request.stream, texts[-1])
    ]


def check_pieces(whole: Sequence[Result], cut: Sequence[Result], requests: Sequence[Request]) -> None:
    """Raise ComparisonError unless each text's last piece has the result of the whole text."""
    ends = [result.probabilities for result, request in zip(cut, requests, strict=True) if request.final]
    difference = np.abs(np.array(ends) - [result.probabilities for result in whole]).max()
    if not difference <= TOLERANCE:
        raise ComparisonError(f"texts in pieces have other probabilities than whole ones, by {difference:.1e}")


def tokenise(tokenizer: Tokenizer, texts: Sequence[str], batch: int) -> None:
    """Encode all texts in batches, as the engine does."""
    for begin in range(0, len(texts), batch):
        tokenizer.encode_texts(texts[begin : begin + batch])


def batches_of(requests: Sequence[Request], batch: int) -> list[Sequence[Request]]:
    """Batches of requests, in order."""
    return [requests[begin : begin + batch] for begin in range(0, len(requests), batch)]


def read_alone(engine: InferenceEngine, texts: Sequence[str], batch: int) -> None:
    """Read every text on a stream of its own."""
    requests = [Request(number, text) for number, text in enumerate(texts)]
    read(engine, batches_of(requests, batch))


def read(engine: InferenceEngine, calls: Sequence[Sequence[Request]]) -> None:
    """Score the batches one after the other, from empty states."""
    for requests in calls:
        engine.score(requests)
