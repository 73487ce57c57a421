"""What comes from outside shows as text."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from worker.page.live.streams import KeptStream, Text
from worker.page.views.markup import coloured, escape, sparkline, stream_url, text_item

HOSTILE = st.text() | st.sampled_from(["<script>x</script>", '"><img onerror=x>', "</li><b>", "\x00<", "\u202e"])


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)
        self.attributes |= {name for name, _ in attrs}


def tags_in(markup: str) -> _Tags:
    parser = _Tags()
    parser.feed(markup)
    parser.close()
    return parser


@given(HOSTILE, HOSTILE, HOSTILE, st.integers(-3, 9), st.integers(-3, 9), st.booleans())
def test_no_text_becomes_markup(said: str, stream: str, label: str, start: int, end: int, seen: bool) -> None:
    words = [{"word": said, "start": start, "end": end, "change": 0.5}]
    text = Text("tweets", stream, ("tweets", 0, 0), label, 0.1, words, "t", said if seen else None)
    found = tags_in(text_item(text) + coloured(said, words) + escape(said))
    assert found.found <= {"li", "span", "mark"}
    assert found.attributes <= {"class", "style", "title"}


@given(HOSTILE, HOSTILE)
def test_an_address_has_no_markup(topic: str, stream: str) -> None:
    assert not set(stream_url(topic, stream)) & set("<>\"' \n")


def test_a_sparkline_of_any_length_is_drawn() -> None:
    line = KeptStream(("tweets", "s"))
    assert "polyline" in sparkline(line)
    line.moods.extend([0.5] * 3)
    assert "mood +0.50 to +0.50" in sparkline(line)
