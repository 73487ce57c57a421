"""Markup that several views share. Every text from outside goes through `escape`."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from worker.page.live.streams import KeptStream, Text
from worker.tools.terminal.spans import split_at_words

MAX_TEXT_CHARS: Final = 400
_SPARK_WIDTH, _SPARK_HEIGHT = 120, 28
_FULL_CHANGE: Final = 0.6  # a word that moves the score so far has the full colour


def escape(text: object) -> str:
    """The text as HTML that shows it, without control characters."""
    shown = "".join(letter if letter.isprintable() or letter == "\n" else "\ufffd" for letter in str(text))
    return html.escape(shown, quote=True)


def signed(score: float) -> str:
    """A score with its sign."""
    return f"{score:+.2f}"


def word_span(word: str, change: float) -> str:
    """A word, coloured by how far it moved the score; the number is its title and is read out."""
    if abs(change) < 0.005:
        return escape(word)
    side = "up" if change > 0 else "down"
    percent = round(min(1.0, abs(change) / _FULL_CHANGE) * 100)
    return (
        f'<mark class="{side}" style="--strength:{percent}%" title="{signed(change)}">{escape(word)}'
        f'<span class="sr"> ({signed(change)})</span></mark>'
    )


def coloured(text: str, words: Iterable[dict[str, Any]]) -> str:
    """The text, with the words of its event coloured."""
    spans = [(int(word["start"]), int(word["end"]), float(word["change"])) for word in words]
    last = max((end for start, end, _ in spans if 0 <= start < end <= len(text)), default=0)
    shown = text[: last + MAX_TEXT_CHARS]
    pieces = (word_span(piece, change) for piece, change in split_at_words(shown, spans))
    return "".join([*pieces, "\u2026" if len(shown) < len(text) else ""])


def label_badge(label: str, score: float) -> str:
    """The label in its colour, with the score."""
    kind = label if label in {"negative", "neutral", "positive"} else "neutral"
    return f'<span class="badge {kind}">{escape(label)} {signed(score)}</span>'


def stream_url(topic: str, stream: str) -> str:
    """The address of a stream's own view."""
    return "/stream?" + urlencode({"topic": topic, "name": stream}, errors="replace")


def text_item(text: Text, *, with_stream: bool = True) -> str:
    """One text as a list item."""
    said = coloured(text.text, text.words) if text.text is not None else _named_words(text)
    name = f'<span class="name">{escape(text.stream)}</span> ' if with_stream else ""
    return f"<li>{label_badge(text.label, text.score)} {name}<span class='said'>{said}</span></li>"


def _named_words(text: Text) -> str:
    words = ", ".join(word_span(str(word["word"]), float(word["change"])) for word in text.words)
    return f'<span class="quiet">text not seen{": " if words else ""}</span>{words}'


def items(rows: Iterable[str], nothing: str) -> str:
    """A list, or a sentence in place of an empty one."""
    found = "".join(rows)
    return f'<ul class="texts">{found}</ul>' if found else f'<p class="quiet">{escape(nothing)}</p>'


def health(parts: Iterable[tuple[str, bool, str]]) -> str:
    """A list of the parts, as the reader describes them."""
    marks = '<span class="bad">not ok</span>', '<span class="good">ok</span>'
    return items(
        (
            f'<li><span class="name">{escape(name)}</span>: {marks[is_ok]}, {escape(detail)}</li>'
            for name, is_ok, detail in parts
        ),
        "",
    )


def long_cell(text: object) -> str:
    """A long text as the content of a cell, which breaks it anywhere."""
    return f'<div class="long">{escape(text)}</div>'


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and values, as figures in a row."""
    return (
        '<dl class="figures">'
        + "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in pairs)
        + "</dl>"
    )


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table. `rows` are cells of HTML; the caption and the head are text."""
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}"><table><caption>{escape(caption)}'
        f"</caption><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def sparkline(line: KeptStream) -> str:
    """The latest moods as a small curve, between -1 and 1."""
    moods = list(line.moods)[-60:]
    step = _SPARK_WIDTH / max(1, len(moods) - 1)
    points = " ".join(f"{at * step:.1f},{(1 - mood) / 2 * _SPARK_HEIGHT:.1f}" for at, mood in enumerate(moods))
    return (
        f'<svg class="spark" viewBox="0 0 {_SPARK_WIDTH} {_SPARK_HEIGHT}" width="{_SPARK_WIDTH}" '
        f'height="{_SPARK_HEIGHT}" role="img" aria-label="mood {signed(moods[0] if moods else 0)} to '
        f'{signed(line.mood)}"><line x1="0" x2="{_SPARK_WIDTH}" y1="14" y2="14"/><polyline points="{points}"/></svg>'
    )
