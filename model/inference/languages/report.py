"""How often the identifier is right, beside py3langid (Barbaresi; a fork of langid.py, Lui and Baldwin 2012)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from model.config import Understanding
from model.inference.languages.examples import Source
from model.inference.languages.identifier import LANGUAGES, Language, LanguageIdentifier

MAX_TEXTS = 1500  # of a source
SHORT_CHARS = 40

Identify = Callable[[Sequence[str]], list[Language]]


def report(file: Path, sources: Sequence[Source]) -> str:
    """A Markdown table: of each source's test texts, how many are named right, whole and short, and read as English."""
    peers: dict[str, Identify] = {"identifier": LanguageIdentifier(file).identify}
    if find_spec("py3langid"):
        peers["py3langid"] = _py3langid()
    columns = [f"{name}, {kind}" for name in peers for kind in ("right", f"right by {SHORT_CHARS} characters", "read")]
    lines = [["source", *columns], ["---"] * (len(columns) + 1)]
    for source in filter(lambda source: source.test, sources):
        cells = [f"{share:.1%}" for identify in peers.values() for share in _measure(identify, source)]
        lines.append([source.name, *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _measure(identify: Identify, source: Source) -> tuple[float, float, float]:
    """Shares of the texts: named right, named right by their first characters, and not rejected for their language."""
    texts = source.test[:MAX_TEXTS]
    limits = Understanding()
    whole, short = identify(texts), identify([text[:SHORT_CHARS] for text in texts])
    rejected = [
        found.confidence >= limits.min_language_confidence and found.code not in limits.languages for found in whole
    ]
    right, right_short = ([found.code == source.language for found in one] for one in (whole, short))
    return (sum(right) / len(texts), sum(right_short) / len(texts), 1 - sum(rejected) / len(texts))


def _py3langid() -> Identify:
    """It chooses among the same languages."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415 - a peer that is not required

    peer = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    peer.set_languages(LANGUAGES)
    return lambda texts: [Language(*peer.classify(text)) for text in texts]
