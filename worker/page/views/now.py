"""Now: what flows, how fast, how it is meant, and what was not understood."""

from __future__ import annotations

import time

from worker.page.context import PageContext
from worker.page.views.charts import update_series, wide_chart
from worker.page.views.layout import Frame, block, heading
from worker.page.views.markup import definitions, escape, health, items, text_item

_MAX_TEXTS = 15
_MAX_LANGUAGES = 8


def now_view(context: PageContext, frame: Frame) -> None:
    """Build the view."""
    live = context.live
    figures, note = block(), block()
    chart = wide_chart("Events per second over the last two minutes", "events per second")
    shares, languages = block(), block()
    heading("Latest texts")
    block('<p class="quiet">An event names the up to three words that moved the score most: green up, red down.</p>')
    feed = block()
    more = block()
    heading("Health of the parts")
    parts = block()

    def update() -> None:
        now_s = time.time()
        figures.set_content(definitions(_figures(context, now_s)))
        note.set_content(_note(context))
        update_series(chart, list(map(float, live.events.series(now_s))))
        shares.set_content(_shares(context))
        languages.set_content(_languages(context))
        feed.set_content(items((text_item(text) for text in list(live.feed)[:_MAX_TEXTS]), "No event yet."))
        more.set_content(_not_understood(context))
        parts.set_content(health(context.reader.parts()))

    frame.every_second(update)


def _figures(context: PageContext, now_s: float) -> list[tuple[str, str]]:
    live = context.live
    p50, p99 = (live.latencies.percentile(share, now_s) for share in (0.5, 0.99))
    lag = context.reader.lag
    return [
        ("events per second", f"{live.events.rate(now_s):,.0f}"),
        ("latency p50", "-" if p50 is None else f"{p50:,.0f} ms"),
        ("latency p99", "-" if p99 is None else f"{p99:,.0f} ms"),
        ("lag, records", "unknown" if lag is None else f"{lag:,}"),
        ("streams, about", f"{live.distinct.estimate():,}"),
        ("shifts", f"{live.num_shifts:,}"),
        ("dead letters", f"{live.reasons.total():,}"),
    ]


def _note(context: PageContext) -> str:
    live, notes = context.live, []
    if live.sampled_share() < 0.995:
        notes.append(f"Sampled: of the events that are read, {live.sampled_share():.0%} are decoded and all counted.")
    if context.reader.num_skipped:
        notes.append(f"The page fell behind and left out {context.reader.num_skipped:,} offsets.")
    if live.streams.num_evicted:
        notes.append(f"{len(live.streams):,} streams are kept here, of about {live.distinct.estimate():,}.")
    return f'<p class="quiet" role="note">{escape(" ".join(notes))}</p>' if notes else ""


def _shares(context: PageContext) -> str:
    live = context.live
    total = live.labels.total()
    pairs = [(label, f"{live.labels[label] / total:.0%}") for label in ("negative", "neutral", "positive") if total]
    if live.num_not_understood is not None:
        pairs.append(("not understood", f"{live.num_not_understood:,}"))
    return definitions(pairs)


def _languages(context: PageContext) -> str:
    found = context.live.languages
    pairs = [(code, f"{number / found.total():.0%}") for code, number in found.most_common(_MAX_LANGUAGES)]
    return f"<h2>Languages of the texts</h2>{definitions(pairs)}" if pairs else ""


def _not_understood(context: PageContext) -> str:
    live = context.live
    if live.num_not_understood is None:
        return ""
    texts = (text_item(text) for text in list(live.not_understood)[:5])
    return f"<h2>Not understood</h2>{items(texts, 'Everything so far was understood.')}"
