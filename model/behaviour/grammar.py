"""Reads the grammar: templates and the words of their slots, in two halves that share neither.

A file of `grammar/LANGUAGE/`, or of `grammar/` for all languages, has the sections [training], [judging] and [both],
whose lines are

    kind: negation_near             the kind of the templates that follow
    good = great | lovely           the words of a slot; `name/arabic = Amal | Omar` adds the group arabic to {name}
    + {Thing} is {good}.            a template: its label (+ positive, - negative, 0 neutral), then a text with slots
    + it is {good} // - it is not {good}    a contrast: alternatives that are filled with the same words

A word may have slots itself. {Thing} begins with a capital, {thing|upper} passes through a filter (`sentences.py`), and
{*name} is exchanged: the sentence is made with every word of that slot. [both] has closed classes, which the halves
share: numbers, weekdays, emoji.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from model.config import LABELS
from model.errors import DataError

HALVES = TRAINING, JUDGING = ("training", "judging")
LABEL_OF_SIGN = dict(zip("-0+", LABELS, strict=True))

ENGLISH = "en"

_FOLDER = Path(__file__).parent / "grammar"
_BOTH = "both"
_SLOT = re.compile(r"\{(\*?)(\w+)((?:\|\w+)*)\}")
_ALTERNATIVE = re.compile(r"([-+0]) (\S.*)")


@dataclass(frozen=True, slots=True)
class Template:
    """A text with slots and its label; a contrast has several of these."""

    kind: str
    language: str
    alternatives: tuple[tuple[str, str], ...]  # label, text

    @property
    def exchanged(self) -> str | None:
        """The slot that is exchanged, if there is one."""
        marked = [name for _, text in self.alternatives for star, name, _ in slots_of(text) if star]
        return marked[0].lower() if marked else None


@dataclass(frozen=True, slots=True)
class Half:
    """The templates of one half of a language, and the words of its slots: slot -> group (or "") -> words."""

    templates: list[Template] = field(default_factory=list)
    slots: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    _words: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of all groups, once they are asked for

    def words(self, slot: str) -> tuple[str, ...]:
        """The words of all groups of a slot. Raises DataError if there is no such slot."""
        if slot not in self._words:
            if slot not in self.slots:
                raise DataError(f"the grammar has no slot {slot!r}")
            self._words[slot] = tuple(word for words in self.slots[slot].values() for word in words)
        return self._words[slot]


def slots_of(text: str) -> list[tuple[str, str, str]]:
    """The slots of a text: "*" or "", the name as written, and the filters as written."""
    return _SLOT.findall(text)


def languages() -> list[str]:
    """The languages that the grammar has sentences of, English first."""
    found = sorted(folder.name for folder in _FOLDER.iterdir() if folder.is_dir())
    return sorted(found, key=lambda language: language != ENGLISH)


@cache
def read_half(language: str, half: str) -> Half:
    """A half of the grammar of a language."""
    paths = [*_FOLDER.glob("*.txt"), *sorted((_FOLDER / language).glob("*.txt"))]
    return parse_half({path.name: path.read_text(encoding="utf-8") for path in paths}, language, half)


def parse_half(files: Mapping[str, str], language: str, half: str) -> Half:
    """A half of the grammar in `files`, name -> content. Raises DataError with the file and line that is wrong."""
    found = Half()
    for name, content in files.items():
        section = kind = ""
        for number, line in enumerate(map(str.strip, content.splitlines()), start=1):
            if not line or line.startswith("# "):
                continue
            if line.startswith("["):
                section, kind = line.strip("[]"), ""
            elif line.startswith("kind: "):
                kind = line.removeprefix("kind: ")
            elif section in {half, _BOTH} and not _add(found, line, kind, language):
                raise DataError(f"{name}, line {number}: neither a slot nor a template of a kind: {line}")
    return found


def _add(half: Half, line: str, kind: str, language: str) -> bool:
    """Add a line to `half`, if it is one."""
    if line[:2] in {"+ ", "- ", "0 "}:
        written = [_ALTERNATIVE.fullmatch(part) for part in line.split(" // ")]
        alternatives = tuple((LABEL_OF_SIGN[part[1]], part[2]) for part in written if part)
        half.templates.append(Template(kind, language, alternatives))
        return bool(kind) and all(written)
    name, equals, words = line.partition(" = ")
    slot, _, group = name.partition("/")
    groups = half.slots.setdefault(slot, {})
    groups[group] = groups.get(group, ()) + tuple(_words(words.split("|")))
    return bool(equals)


def _words(written: Iterable[str]) -> Iterable[str]:
    return filter(None, map(str.strip, written))
