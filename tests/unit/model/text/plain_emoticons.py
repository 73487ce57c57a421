"""Emoticons of the plain tokenizer, matched character by character."""

from __future__ import annotations

from collections.abc import Callable

from model.text.normalise import LONG

Found = tuple[int, list[str]]  # the number of characters that a match takes, and its tokens

NOSES, MOUTHS = "-o*'^~", ")(][}{DPpOo3/\\|*@$"


def run(text: str, belongs: Callable[[str], bool]) -> str:
    """The longest prefix of `text` whose characters all belong."""
    num_chars = next((number for number, char in enumerate(text) if not belongs(char)), len(text))
    return text[:num_chars]


def is_word_char(char: str) -> bool:
    return char.isalnum() or char == "_"


def face(rest: str, before: str) -> Found | None:
    hat = rest[0] if rest[0] in "<>" else ""
    if rest[len(hat) : len(hat) + 1] not in {":", ";", "="}:
        return None
    for nose in (1, 0):
        begin = len(hat) + 1 + nose
        if nose and rest[begin - 1 : begin] not in set(NOSES):
            continue
        mouths = run(rest[begin:], lambda char: char in MOUTHS)
        for end in range(begin + len(mouths), begin, -1):
            behind = rest[end : end + 1]
            if not (behind.isascii() and behind.isalnum()):
                return end, written_emoticon(rest[:end])
    return None


def reversed_face(rest: str, before: str) -> Found | None:
    if rest[0] not in "([":
        return None
    for end in (3, 2):
        if end == 3 and rest[1:2] not in {"-", "o", "'"}:
            continue
        behind = rest[end : end + 1]
        if rest[end - 1 : end] in {":", ";", "="} and not (behind.isascii() and behind.isalnum()):
            return end, [rest[:end]]
    return None


def other_emoticon(rest: str, before: str) -> Found | None:
    laughs = run(rest[1:], lambda char: char == "D")
    if rest[0] in "xX" and laughs and not is_word_char(rest[1 + len(laughs) :][:1] or " "):
        return 1 + len(laughs), ["xd"] if len(laughs) == 1 else written_emoticon(rest[: 1 + len(laughs)])
    threes = run(rest[1:], lambda char: char == "3")
    if rest[0] == "<" and threes:
        return 1 + len(threes), written_emoticon(rest[: 1 + len(threes)])
    for whole in ("</3", "^_^", "^.^", "^-^", "^^"):
        if rest.startswith(whole):
            return len(whole), [whole]
    line = run(rest[1:], lambda char: char == "_")
    tired = f"-{line}-"
    return (len(tired), [tired]) if line and rest.startswith(tired) else None


def written_emoticon(written: str) -> list[str]:
    """Emoticons of three or more characters lose their nose and keep one mouth."""
    mouth = written[-1]
    face = written[: len(written) - len(run(written[::-1], lambda char: char == mouth))]
    num_mouths = len(written) - len(face)
    if len(written) < 3:
        return [written]
    if len(face) > 1 and face[-1] in "-o^~":
        face = face[:-1]
        num_mouths += 1
    return [face + mouth, LONG] if num_mouths > 2 else [face + mouth]
