"""Normalises one chunk of text into tokens, as a pure function of its characters.

A chunk is cleaned (HTML entities and tags, NFKC, invisible characters), then matched against one pattern, whose named
groups are the kinds of token. Each match becomes words of the vocabulary:

    http://t.co/x -> <url>     @name -> <user>      #LoveThis -> <tag> love this     1,000 -> <number>   7/10 -> 7/10
    soooo -> soo <long>        GREAT -> great <allcaps>      didn't -> did n't       :-)) -> :) <long>   !!! -> !!
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterator

URL, USER, TAG, NUMBER, LONG, ALLCAPS = SPECIAL_TOKENS = ("<url>", "<user>", "<tag>", "<number>", "<long>", "<allcaps>")

_EMOJI = "\u2600-\u27bf\u2b00-\u2bff\u3030\u303d\U0001f000-\U0001faff"
_INVISIBLE = "\u00ad\u200b-\u200f\u2060\ufe00-\ufe0f\ufeff\U0001f3fb-\U0001f3ff\U000e0000-\U000e01ef"
_DROPPED = re.compile(f"[{_INVISIBLE}]")  # includes joiners, variation selectors and skin tones of emoji
_STRAIGHT = str.maketrans("\u2018\u2019\u02bc\u00b4`\u201c\u201d\u2013\u2014\u2212", "'''''\"\"---")
# A tag with a space in it, like <br />, arrives as two chunks.
_HTML_TAG = re.compile(r"</?(?:br|p|b|i|u|em|strong|hr|div|span|li|ul|ol|h[1-6])/?>|<br$|^/>", re.IGNORECASE)

_KINDS = re.compile(
    rf"""
      (?P<url>https?(?:://\S*|$)|(?:www\.|pic\.twitter\.com/)\S+|[\w.+-]+@[\w-]+\.[\w.-]+)
    | (?P<user>@\w+)
    | (?P<tag>\#(?=\w*[^\W\d])\w+)
    | (?P<emoticon>[<>]?[:;=][-o*'^~]?[)(\]\[}}{{DPpOo3/\\|*@$]+(?![a-zA-Z0-9]) | [(\[][-o']?[:;=](?![a-zA-Z0-9])
        | [xX]D+\b | <3+ | </3 | \^[_.-]?\^ | -_+-)
    | (?P<rating>\b(?:10|\d)(?:\.\d)?/(?:10|5)\b)
    | (?P<number>\d+(?:[.,:/]\d+)*(?:%|(?:st|nd|rd|th|s)\b)?)
    | (?P<word>[^\W\d_]+(?:'[^\W\d_]+)*)
    | (?P<flag>[\U0001f1e6-\U0001f1ff]{{2}})
    | (?P<emoji>(?P<one_emoji>[{_EMOJI}])(?P=one_emoji)*)
    | (?P<stress>[!?]+)
    | (?P<dots>\.+)
    | (?P<other>(?P<one_other>\S)(?P=one_other)*)
    """,
    re.VERBOSE,
)
_HASHTAG_WORDS = re.compile(r"[A-Z]+(?![^\W\d_A-Z])|[A-Z]?[^\W\d_A-Z]+|[A-Z]|\d+")
_ELONGATED = re.compile(r"([^\W\d_])\1{2,}")
_LAUGH = re.compile(r"a*h+a+(?:h+a+)+h*")
_SUFFIX = re.compile(r"(?<=.)(n't|'(?:s|m|d|re|ve|ll))$")
_BARE_NEGATION = re.compile(r"(?:ai|are|ca|could|did|does|do|had|has|have|is|should|was|were|wo|would)nt")


def split_chunk(chunk: str) -> list[str]:
    """The tokens of one chunk, as words. A chunk of markup or invisible characters has none."""
    return [token for kind, written in parts_of_chunk(chunk) for token in write_part(kind, written)]


def parts_of_chunk(chunk: str) -> Iterator[tuple[str, str]]:
    """The parts of a chunk that become tokens: the kind, and the characters after cleaning."""
    for match in _KINDS.finditer(_clean(chunk)):
        kind = match.lastgroup
        assert kind is not None  # every branch of the pattern is named
        yield kind, match[0]


def write_part(kind: str, written: str) -> list[str]:
    """The tokens of a part of this kind."""
    return _WRITERS[kind](written)


def _clean(chunk: str) -> str:
    if "&" in chunk:
        chunk = html.unescape(html.unescape(chunk))  # web dumps are often escaped twice
    if not chunk.isascii():
        chunk = _DROPPED.sub("", unicodedata.normalize("NFKC", chunk.translate(_STRAIGHT)))
    elif "`" in chunk:
        chunk = chunk.translate(_STRAIGHT)
    if "<" in chunk or ">" in chunk:
        chunk = _HTML_TAG.sub(" ", chunk)
    return chunk


def write_word(written: str) -> list[str]:
    """The tokens of a run of letters, which may have apostrophes between them."""
    word, num_repeats = _ELONGATED.subn(r"\1\1", written)
    marks = [LONG] * (num_repeats > 0) + [ALLCAPS] * (len(word) > 2 and word.isupper())
    word = word.lower()
    if "ha" in word and _LAUGH.fullmatch(word):
        return ["haha", *marks]
    if word == "cannot":
        return ["can", "not", *marks]
    if word.endswith("nt") and _BARE_NEGATION.fullmatch(word):
        return [word[:-2], "n't", *marks]
    if "'" in word and (suffix := _SUFFIX.search(word)):
        return [word[: suffix.start()], suffix[0], *marks]
    return [word, *marks]


def _write_hashtag(written: str) -> list[str]:
    tokens = [TAG]
    for part in hashtag_parts(written):
        tokens += _write_number(part) if part.isdigit() else write_word(part)
    return tokens


def hashtag_parts(written: str) -> list[str]:
    """The words of a hashtag as its capitals and digits separate them."""
    return _HASHTAG_WORDS.findall(written)


def _write_number(written: str) -> list[str]:
    """Whole numbers up to ten keep their value, because reviews give their ratings in them."""
    return [written] if written.isascii() and written.isdigit() and int(written) <= 10 else [NUMBER]


def _write_emoticon(written: str) -> list[str]:
    """The emoticon without its nose and with a single mouth; `<long>` marks a repeated mouth."""
    if len(written) < 3 or written[-1] in ":;=":
        return [written.lower() if written[0] in "xX" else written]
    face, mouth = written.rstrip(written[-1]), written[-1]
    face = face[:-1] if len(face) > 1 and face[-1] in "-o^~" and face[0] not in "^-" else face
    return [face + mouth, LONG] if len(written) - len(face) > 2 else [face + mouth]


def _write_repeated(written: str) -> list[str]:
    return [written[0], LONG] if len(written) > 2 else [written[0]] * len(written)


def _write_stress(written: str) -> list[str]:
    kinds = "".join(sorted(set(written)))
    return [kinds * 2 if len(kinds) == 1 and len(written) > 1 else kinds]


_WRITERS: dict[str, Callable[[str], list[str]]] = {
    "url": lambda written: [URL],
    "user": lambda written: [USER],
    "tag": _write_hashtag,
    "emoticon": _write_emoticon,
    "rating": lambda written: [written],
    "number": _write_number,
    "word": write_word,
    "flag": lambda written: [written],
    "emoji": _write_repeated,
    "stress": _write_stress,
    "dots": lambda written: ["." if len(written) == 1 else "..."],
    "other": lambda written: [written[0]] if written[0].isprintable() else [],
}
