"""What ends up before the network and on the page: texts, states in Redis, markup."""

from __future__ import annotations

import struct
from html.parser import HTMLParser
from typing import Any, Final
from zlib import crc32

from model import StateError
from model.text.tokenizer import PIECES, WORDS, Tokenizer
from tests.checkpoints import WORDS as VOCABULARY
from tests.factories.partitions import CONFIG, TOPIC
from worker.ownership.lineage import lineage_reset
from worker.page.live.streams import Text
from worker.page.views.markup import coloured, escape, stream_url, text_item
from worker.payloads.times import TIME_FORMATS
from worker.records.html import blank_tags
from worker.records.unicode import printable
from worker.settings import load_settings
from worker.state.claims import read_claim, read_fence
from worker.state.entry import StreamEntry
from worker.state.mood import MoodTracker

FINGERPRINT: Final = "0123456789abcdef"
_TRACKER: Final = MoodTracker(load_settings())
_PIECES: Final = (*VOCABULARY, "##s", "##a", "\u7535\u5f71", "\u5f88", "\u0e14\u0e35")
_TOKENIZERS: Final = [
    Tokenizer(words, 32, version, normalisation=normalisation)
    for words, version in ((VOCABULARY, WORDS), (_PIECES, PIECES))
    for normalisation in (1, 2)
]


def tokenizer(data: bytes) -> None:
    """The first byte chooses the tokenizer, the second where the text is split: the ids stay the same."""
    if len(data) < 3:
        return
    chosen, text = _TOKENIZERS[data[0] % len(_TOKENIZERS)], data[2:].decode(errors="surrogateescape")
    whole = chosen.encode(text)
    assert all(0 <= number < chosen.num_words + 32 for number in whole)
    at = data[1] * len(text) // 255
    first, pending = chosen.cut_piece("", text[:at], False)
    second, left = chosen.cut_piece(pending, text[at:], True)
    assert not left
    assert [number for chunk in (*first, *second) for number in chosen.chunk_ids(chunk)] == whole
    assert len(blank_tags(text)) == len(text)
    assert printable(text).isprintable()


def entry(data: bytes) -> None:
    """A stream's entry, with the right checksum in every second case: it is refused, or can be gone on with."""
    if data[:1] == b"\1":
        body = data[1:]
        data = body + struct.pack("<I", crc32(body[_state_at(body) :]))
    else:
        data = data[1:]
    try:
        found = StreamEntry.from_bytes(data, CONFIG, FINGERPRINT)
    except StateError:
        return
    StreamEntry.from_bytes(found.to_bytes(FINGERPRINT), CONFIG, FINGERPRINT)
    mood, _ = _TRACKER.update(found.mood, 0.5, found.time_ms)
    assert -1 <= mood.score <= 1.000001
    assert 0 <= mood.magnitude <= 1.000001


def _state_at(body: bytes) -> int:
    """Where the network's state begins in an entry."""
    return 3 + body[1] + body[2] if len(body) > 2 else 0


def meta(data: bytes) -> None:
    """The fields of a partition's meta key, between NULs."""
    fields = [*data.split(b"\0"), *(b"",) * 7]
    found = read_claim("token", fields[:7], TOPIC)
    assert found.position is None or found.lineage
    lineage_reset(found.lineage or "")
    read_fence(fields[:3])


def times(data: bytes) -> None:
    """A time in each format; the first byte makes a number of it."""
    text: Any = data[1:].decode(errors="replace")
    values: list[Any] = [text, float(len(text)) ** data[0] if data and data[0] < 80 else text]
    for parse in TIME_FORMATS.values():
        for value in values:
            try:
                assert isinstance(parse(value), int)
            except ValueError:
                continue


class _Tags(HTMLParser):
    """The tags and attributes of some markup."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the names."""
        self.found |= {tag, *(name for name, _ in attrs)}


def page(data: bytes) -> None:
    """The stream, the label and the text of an event, between NULs: none of them becomes markup."""
    stream, label, said = [*(part.decode(errors="surrogateescape") for part in data.split(b"\0")), "", "", ""][:3]
    words = [{"word": said, "start": len(stream) - 2, "end": len(said) - 1, "change": 0.5}]
    text = Text("tweets", stream, ("tweets", 0, 0), label, 0.1, words, "t", said)
    parser = _Tags()
    parser.feed(text_item(text) + coloured(said, words) + escape(said))
    parser.close()
    assert parser.found <= {"li", "span", "mark", "class", "style", "title"}
    assert not set(stream_url(label, stream)) & set("<>\"' \n")
