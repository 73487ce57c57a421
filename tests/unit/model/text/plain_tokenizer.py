"""A second tokenizer, character by character, without patterns, fast paths or caches: the oracle of the tests."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Callable, Iterator
from itertools import groupby
from zlib import crc32

from model.text.normalise import ALLCAPS, LONG, NUMBER, TAG, URL, USER
from tests.unit.model.text.plain_emoticons import Found, face, is_word_char, other_emoticon, reversed_face, run

MAX_CHUNK_CHARS, MAX_TABLE_CHARS = 512, 64
CJK = [(0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xAC00, 0xD7AF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF)]
BY_PIECES = [(0x0600, 0x077F), (0x0900, 0x109F), (0x1780, 0x17FF), *CJK]
EMOJI = [(0x2600, 0x27BF), (0x2B00, 0x2BFF), (0x3030, 0x3030), (0x303D, 0x303D), (0x1F000, 0x1FAFF)]
INVISIBLE = [(0xAD, 0xAD), (0x200B, 0x200F), (0x2060, 0x2060), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF)]
INVISIBLE += [(0x1F3FB, 0x1F3FF), (0xE0000, 0xE01EF)]
STRAIGHT = dict.fromkeys("\u2018\u2019\u02bc\u00b4`", "'") | dict.fromkeys("\u201c\u201d", '"')
STRAIGHT |= dict.fromkeys("\u2013\u2014\u2212", "-")
HTML_NAMES = ["br", "p", "b", "i", "u", "em", "strong", "hr", "div", "span", "li", "ul", "ol"]
HTML_NAMES += ["h1", "h2", "h3", "h4", "h5", "h6"]
HTML_TAGS = [f"<{slash}{name}{end}>" for name in HTML_NAMES for slash in ("", "/") for end in ("", "/")]
BARE_NEGATIONS = {"aint", "arent", "cant", "couldnt", "didnt", "doesnt", "dont", "hadnt", "hasnt", "havent", "isnt"}
BARE_NEGATIONS |= {"shouldnt", "wasnt", "werent", "wont", "wouldnt"}
SUFFIXES = ("n't", "'s", "'m", "'d", "'re", "'ve", "'ll")


def tokens_of(text: str) -> list[str]:
    return [token for chunk in chunks_of(text) for token in _tokens(_clean(chunk))]


def chunks_of(text: str) -> Iterator[str]:
    chunk = ""
    for char in text:
        if chunk and (char.isspace() or _is_in(char, CJK) or len(chunk) == MAX_CHUNK_CHARS):
            yield chunk
            chunk = ""
        if _is_in(char, CJK):
            yield char
        elif not char.isspace():
            chunk += char
    if chunk:
        yield chunk


def _is_in(char: str, ranges: list[tuple[int, int]]) -> bool:
    return any(first <= ord(char) <= last for first, last in ranges)


def _clean(chunk: str) -> str:
    chunk = "".join(STRAIGHT.get(char, char) for char in html.unescape(html.unescape(chunk)))
    chunk = "".join(char for char in unicodedata.normalize("NFKC", chunk) if not _is_in(char, INVISIBLE))
    cleaned, at = "", 0
    while at < len(chunk):
        rest = chunk[at:].lower() if chunk[at] in "</" else ""
        tag = next((tag for tag in HTML_TAGS if rest.startswith(tag)), "")
        if rest in {"<br", "<br\n"}:
            tag = "<br"
        if rest.startswith("/>") and at == 0:
            tag = "/>"
        cleaned += " " if tag else chunk[at]
        at += len(tag) or 1
    return cleaned


def _tokens(chunk: str) -> list[str]:
    tokens: list[str] = []
    at = 0
    while at < len(chunk):
        if chunk[at].isspace():
            at += 1
            continue
        found = (kind(chunk[at:], chunk[at - 1 : at]) for kind in KINDS)
        num_chars, written = next(one for one in found if one)
        tokens += written
        at += num_chars
    return tokens


def _is_letter(char: str) -> bool:
    return char.isalnum() and not char.isdecimal()


def _is_ascii_letter(char: str) -> bool:
    return char.isascii() and char.isalpha()


def _url(rest: str, before: str) -> Found | None:
    address = run(rest, lambda char: not char.isspace())
    if rest.startswith(("http://", "https://")) or rest in {"http", "https", "http\n", "https\n"}:
        return len(address), [URL]
    if any(address.startswith(begin) and address != begin for begin in ("www.", "pic.twitter.com/")):
        return len(address), [URL]
    name = run(rest, lambda char: is_word_char(char) or char in ".+-")
    host = run(rest[len(name) + 1 :], lambda char: is_word_char(char) or char == "-")
    domain = run(rest[len(name) + len(host) + 2 :], lambda char: is_word_char(char) or char in ".-")
    mail = f"{name}@{host}.{domain}"
    return (len(mail), [URL]) if name and host and domain and rest.startswith(mail) else None


def _user(rest: str, before: str) -> Found | None:
    name = run(rest[1:], is_word_char)
    return (1 + len(name), [USER]) if rest[0] == "@" and name else None


def _tag(rest: str, before: str) -> Found | None:
    name = run(rest[1:], is_word_char)
    if rest[0] != "#" or all(map(str.isdecimal, name)):
        return None
    tokens, at = [TAG], 0
    while at < len(name):
        capitals = run(name[at:], lambda char: "A" <= char <= "Z")
        small = run(name[at + len(capitals) :], lambda char: _is_letter(char) and not "A" <= char <= "Z")
        digits = run(name[at:], str.isdecimal)
        # the last of several capitals before small letters begins the next word
        part = digits or (capitals[:-1] if small and len(capitals) > 1 else capitals + small)
        tokens += (_written_number(part) if part.isdigit() else _written_word(part)) if part else []
        at += len(part) or 1
    return 1 + len(name), tokens


def _rating(rest: str, before: str) -> Found | None:
    if before and is_word_char(before):
        return None
    whole = "10" if rest.startswith("10") else run(rest[:1], str.isdecimal)
    tenths = rest[len(whole) : len(whole) + 2]
    whole += tenths if whole and tenths[:1] == "." and tenths[1:].isdecimal() else ""
    for best in ("/10", "/5"):
        if whole and rest.startswith(whole + best) and not is_word_char(rest[len(whole + best) :][:1] or " "):
            return len(whole + best), [whole + best]
    return None


def _number(rest: str, before: str) -> Found | None:
    number = run(rest, str.isdecimal)
    if not number:
        return None
    while rest[len(number) :][:1] in {".", ",", ":", "/"} and (more := run(rest[len(number) + 1 :], str.isdecimal)):
        number = rest[: len(number) + 1 + len(more)]
    for unit in ("%", "st", "nd", "rd", "th", "s"):
        behind = rest[len(number) + len(unit) :][:1] or " "
        if rest[len(number) :].startswith(unit) and (unit == "%" or not is_word_char(behind)):
            number += unit
            break
    return len(number), _written_number(number)


def _written_number(written: str) -> list[str]:
    return [written] if written.isascii() and written.isdigit() and int(written) <= 10 else [NUMBER]


def _word(rest: str, before: str) -> Found | None:
    word = run(rest, _is_letter)
    while word and rest[len(word) :][:1] == "'" and (more := run(rest[len(word) + 1 :], _is_letter)):
        word += "'" + more
    return (len(word), _written_word(word)) if word else None


def _written_word(written: str) -> list[str]:
    runs = ["".join(run) for _, run in groupby(written)]
    word = "".join(run[:2] if _is_letter(run[0]) else run for run in runs)
    marks = [LONG] if word != written else []
    marks += [ALLCAPS] if len(word) > 2 and word.isupper() else []
    word = word.lower()
    sounds = "".join(char for char, _ in groupby(word)).removeprefix("a")
    if set(sounds) == {"h", "a"} and sounds.count("ha") > 1:
        return ["haha", *marks]
    if word == "cannot":
        return ["can", "not", *marks]
    if word in BARE_NEGATIONS:
        return [word[:-2], "n't", *marks]
    for suffix in SUFFIXES:
        if word.endswith(suffix) and word != suffix:
            return [word.removesuffix(suffix), suffix, *marks]
    return [word, *marks]


def _flag(rest: str, before: str) -> Found | None:
    flag = run(rest[:2], lambda char: _is_in(char, [(0x1F1E6, 0x1F1FF)]))
    return (2, [flag]) if len(flag) == 2 else None


def _emoji(rest: str, before: str) -> Found | None:
    if not _is_in(rest[0], EMOJI):
        return None
    num_chars = len(run(rest, lambda char: char == rest[0]))
    return num_chars, [rest[0]] * num_chars if num_chars < 3 else [rest[0], LONG]


def _stress(rest: str, before: str) -> Found | None:
    signs = run(rest, lambda char: char in "!?")
    if not signs:
        return None
    return len(signs), ["!?"] if len(set(signs)) == 2 else [signs[:2]]


def _other(rest: str, before: str) -> Found | None:
    num_chars = len(run(rest, lambda char: char == rest[0]))
    if rest[0] == "." and num_chars > 1:
        return num_chars, ["..."]
    return num_chars, [rest[0]] if rest[0].isprintable() else []


KINDS = (
    _url,
    _user,
    _tag,
    face,
    reversed_face,
    other_emoticon,
    _rating,
    _number,
    _word,
    _flag,
    _emoji,
    _stress,
    _other,
)


def piece_ids_of(text: str, words: list[str], num_buckets: int) -> list[int]:
    """The ids by a vocabulary of pieces."""
    return written_piece_ids_of(text, words, num_buckets, lambda chunk: _tokens(_clean(chunk)))


def written_piece_ids_of(
    text: str, words: list[str], num_buckets: int, split_chunk: Callable[[str], list[str]]
) -> list[int]:
    """The ids by a vocabulary of pieces, of the words that `split_chunk` writes for a chunk."""
    ids: list[int] = []
    chunk = at = 0
    while at < len(text):
        if _is_in(text[at], BY_PIECES):
            length = _longest([text[at : at + n] for n in range(1, 1 + _run_length(text[at:]))], words) or 1
            ids += _id(text[at : at + length], words, num_buckets)
            at += length
            continue
        chunk = at
        while (
            at < len(text)
            and at - chunk < MAX_CHUNK_CHARS
            and not text[at].isspace()
            and not _is_in(text[at], BY_PIECES)
        ):
            at += 1
        for token in split_chunk(text[chunk:at]):
            ids += _word_ids(token, words, num_buckets)
        at += at == chunk  # a space
    return ids


def _run_length(text: str) -> int:
    return next((n for n, char in enumerate(text) if not _is_in(char, BY_PIECES)), len(text))


def _longest(candidates: list[str], words: list[str]) -> int:
    """The number of the last candidate that is a word of at most MAX_TABLE_CHARS, from 1; 0 if none is."""
    return max(
        (n + 1 for n, word in enumerate(candidates) if len(word) <= MAX_TABLE_CHARS and word in words), default=0
    )


def _word_ids(token: str, words: list[str], num_buckets: int) -> list[int]:
    if token in words or not token.isalpha():
        return _id(token, words, num_buckets)
    ids, rest, begin = [], token, ""
    while rest:
        length = _longest([begin + rest[:n] for n in range(1, 1 + len(rest))], words)
        if not length:
            return _id(token, words, num_buckets)
        ids.append(words.index(begin + rest[:length]))
        rest, begin = rest[length:], "##"
    return ids


def _id(word: str, words: list[str], num_buckets: int) -> list[int]:
    return [words.index(word) if word in words else len(words) + crc32(word.encode()) % num_buckets]
