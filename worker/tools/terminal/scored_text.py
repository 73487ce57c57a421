"""`sentiment score` on a terminal: the text with its words coloured, and below it label, bar, confidence, language."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from worker.records.unicode import printable
from worker.tools.score_file import RefusedLine, ScoredLine
from worker.tools.terminal.marks import coloured_text, label_mark, score_bar

MAX_SHOWN_CHARACTERS = 1000


def show_scored(console: Console, text: str, line: ScoredLine | RefusedLine) -> None:
    """Write the answer to one line of input, whose text is `text`."""
    if isinstance(line, RefusedLine):
        console.print(
            Text.assemble((" not scored ", "bold reverse red"), f" line {line.id}: {printable(line.error)}\n")
        )
        return
    shown = text[:MAX_SHOWN_CHARACTERS]
    spans = ((word.start, word.end, word.change) for word in line.words)
    said = coloured_text(shown, spans, with_numbers=console.no_color or console.color_system is None)
    console.print(Text.assemble(said, "…" if len(shown) < len(text) else ""))
    confidence = getattr(line.probabilities, line.label)
    facts = f"  confidence {confidence:.0%}  language {line.language.code} {line.language.confidence:.0%}"
    stream = "" if line.stream is None else f"  stream {printable(line.stream)}"
    doubt = "" if line.understood else "  not understood: do not rely on it"
    verdict = label_mark(line.label, line.score)
    console.print(Text.assemble(verdict, "  ", score_bar(line.score), (facts + stream, "dim"), (doubt, "bold"), "\n"))
