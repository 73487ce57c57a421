"""Labelled texts in many languages: the files of the folder languages/ of a data directory.

A file is LANGUAGE_KIND_train.jsonl.gz or LANGUAGE_KIND_dev.jsonl.gz. Where a corpus has no dev file, DEV_SHARE of its
streams (of its texts, if it has none) are held out.
"""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from pathlib import Path

from model.data.corpora import DEV_SHARE, SPLIT_SEED, Example, classes_of, read_examples, split_by_stream
from model.errors import DataError

FOLDER = "languages"
LANGUAGES = {
    "ar": "Arabic",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "hi": "Hindi",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "ms": "Malay",
    "no": "Norwegian",
    "pt": "Portuguese",
    "ru": "Russian",
    "th": "Thai",
    "zh": "Chinese",
}
HELPERS = {"ms"}  # helps Indonesian, and no promise is made for it
TWEETS, EMOJI = "tweets", "emoji"  # kinds of corpora: three classes in all languages alike; the label is an emoji
SUFFIX = ".jsonl.gz"
SPLITS = ("train", "dev")


@dataclass(frozen=True, slots=True)
class LanguageCorpus:
    """A labelled corpus of one language."""

    name: str  # LANGUAGE_KIND
    language: str
    kind: str
    train: list[Example]
    dev: list[Example]


def read_language_corpora(data_dir: Path) -> dict[str, LanguageCorpus]:
    """The corpora of a data directory by name; none if it has no folder of languages.

    No text of `train` is in `dev`. Raises DataError that names every file with an unknown language or another name, a
    file without labels of two classes, and a file that cannot be read.
    """
    files = sorted((data_dir / FOLDER).glob("*"))
    _refuse_names([file for file in files if _split_name(file) is None])
    named = {file: name for file in files if (name := _split_name(file)) is not None and name[1] != EMOJI}
    read: dict[str, dict[str, list[Example]]] = {}
    for file, (language, kind, split) in named.items():
        examples = read_examples(file)
        if examples[0].label is None:
            raise DataError(f"{file}: its texts have no labels")
        classes_of(examples, str(file))
        read.setdefault(f"{language}_{kind}", {})[split] = examples
    return {name: _corpus(name, parts) for name, parts in sorted(read.items())}


def read_emoji_tweets(data_dir: Path) -> list[tuple[str, str]]:
    """Texts with the emoji that each had, from the files of the kind `emoji`; none if there is no such file.

    Raises DataError for a file that cannot be read or lacks a text or an emoji.
    """
    pairs = []
    for file in sorted((data_dir / FOLDER).glob(f"*_{EMOJI}_train{SUFFIX}")):
        try:
            with gzip.open(file, "rt", encoding="utf-8") as lines:
                for number, line in enumerate(lines, start=1):
                    row = json.loads(line)
                    if not isinstance(row.get("text"), str) or not isinstance(row.get("label"), str):
                        raise DataError(f"{file}, line {number}: a text and an emoji as its label are needed")
                    pairs.append((row["text"], row["label"]))
        except (OSError, EOFError, ValueError, AttributeError, zlib.error) as error:
            raise DataError(f"{file}: cannot be read: {error}") from error
    return pairs


def _split_name(file: Path) -> tuple[str, str, str] | None:
    """Language, kind and split of a file; None if its name is not made of these."""
    fields = file.name.removesuffix(SUFFIX).split("_")
    if not file.name.endswith(SUFFIX) or len(fields) != 3 or fields[0] not in LANGUAGES or fields[2] not in SPLITS:
        return None
    return fields[0], fields[1], fields[2]


def _refuse_names(files: list[Path]) -> None:
    if files:
        raise DataError(
            f"{', '.join(map(str, files))}: a corpus is LANGUAGE_KIND_train{SUFFIX} or LANGUAGE_KIND_dev{SUFFIX}, and "
            f"the languages are {', '.join(LANGUAGES)}"
        )


def _corpus(name: str, parts: dict[str, list[Example]]) -> LanguageCorpus:
    language, kind = name.split("_")
    if "train" not in parts:
        raise DataError(f"{name}: there is a file for dev and none for train")
    dev, train = parts.get("dev"), parts["train"]
    if dev is None:
        dev, train = split_by_stream(train, (DEV_SHARE,), SPLIT_SEED)
    in_dev = {example.text for example in dev}
    return LanguageCorpus(name, language, kind, [example for example in train if example.text not in in_dev], dev)
