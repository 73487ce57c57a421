"""`sentiment score`: scores lines of text and writes one JSON line for each, in order. Needs no server.

A line that begins with `{` is a record in the format of the input topics; any other line is a text.
The texts of a stream continue each other, as in the worker; a line without a stream is scored on its own.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final, NamedTuple, Protocol, cast

import msgspec
from msgspec import Struct

from model import InferenceEngine, Request, Result, StreamState
from worker.errors import InputFileError, Reason, RecordError
from worker.network import resolve_not_understood
from worker.records.codec import Codec
from worker.records.types import EventLanguage, EventWord, Probabilities, Skipped
from worker.settings import Settings

READ_BYTES: Final = 1 << 18
MAX_LINE_BYTES: Final = 1 << 24
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
# A line has neither topic nor key; this name takes their place.
_NOWHERE: Final = "\0"

_encode = msgspec.json.encode


class Readable(Protocol):
    """A binary file."""

    def read1(self, size: int, /) -> bytes:
        """The bytes available now, at most `size`; empty at the end of the file."""

    def read(self) -> bytes:
        """All that is left."""


class ScoredLine(Struct, frozen=True, gc=False):
    """The sentiment of one line. `id` is the record's id or else the line number; `stream` is None if it names none.

    language, known and understood: as in an event.
    """

    id: str
    stream: str | None
    label: str
    score: float
    probabilities: Probabilities
    words: list[EventWord]
    language: EventLanguage
    known: float
    understood: bool


class RefusedLine(Struct, frozen=True, gc=False):
    """A line that cannot be scored. `id` is its number; `error` begins with the `Reason` of a dead letter."""

    id: str
    error: str


class _Planned(NamedTuple):
    id: str
    request: Request


def read_lines(file: Readable) -> Iterator[list[bytes]]:
    """Yield the lines of `file` without line ends, as soon as they arrive, so that a slow pipe is answered at once.

    A line of more than MAX_LINE_BYTES is cut after MAX_LINE_BYTES + 1 bytes.
    """
    rest = b""
    while chunk := file.read1(READ_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        rest = rest[: MAX_LINE_BYTES + 1]
        if lines:
            yield lines
    if rest:
        yield [rest]


class LineScorer:
    """Scores lines in batches. Between batches it keeps only the states of the streams, about 1 KB each."""

    def __init__(self, settings: Settings, engine: InferenceEngine) -> None:
        self._settings = settings
        self._codec = Codec(settings)
        self._engine = engine
        self._carry = settings.carry
        self._states: dict[str, StreamState] = {}
        self._open: set[str | int] = set()  # streams whose text is not finished
        self.num_lines = 0
        self.num_refused = 0

    def score(self, lines: Iterable[bytes]) -> list[ScoredLine | RefusedLine]:
        """Score a batch; returns one answer for each line, in order."""
        return [answer for _, answer in self.score_texts(lines)]

    def score_texts(self, lines: Iterable[bytes]) -> list[tuple[str, ScoredLine | RefusedLine]]:
        """The same, each answer with the text that its line holds; "" where that cannot be read."""
        plan = [self._plan(line) for line in lines]
        planned = [line for line in plan if isinstance(line, _Planned)]
        results = self._engine.score([line.request for line in planned])
        for line, result in zip(planned, results, strict=True):
            self._keep(line.request.stream, result.state)
        scored = (
            (line.request.text, self._answer(line, result)) for line, result in zip(planned, results, strict=True)
        )
        answers = [next(scored) if isinstance(line, _Planned) else ("", line) for line in plan]
        self.num_refused += sum(isinstance(answer, RefusedLine) for _, answer in answers)
        return answers

    def _answer(self, line: _Planned, result: Result) -> ScoredLine | RefusedLine:
        try:
            return _scored(line, resolve_not_understood(self._settings, result, final=line.request.final))
        except RecordError as error:
            return RefusedLine(line.id, f"{error.reason}: {error}")

    def _plan(self, line: bytes) -> _Planned | RefusedLine:
        self.num_lines += 1
        number = self.num_lines
        try:
            return self._request(number, line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line)
        except RecordError as error:
            return RefusedLine(str(number), f"{error.reason}: {error}")

    def _request(self, number: int, line: bytes) -> _Planned:
        alone = f"{_NOWHERE}{number}"
        text = self._codec.decode(_NOWHERE, alone.encode(), _payload(line), 0, number, int(time.time() * 1000))
        assert not isinstance(text, Skipped)  # no setting of a topic applies here
        stream = number if text.stream == alone else text.stream
        if text.final and stream not in self._open and not self._engine.has_words(text.text):
            raise RecordError(Reason.EMPTY_TEXT, "nothing is left of the text after normalising")
        (self._open.discard if text.final else self._open.add)(stream)
        record_id = str(number) if text.record_id == f"{_NOWHERE}-0-{number}" else text.record_id
        return _Planned(record_id, Request(stream, text.text, text.final, self._states.get(text.stream)))

    def _keep(self, stream: object, state: StreamState) -> None:
        if not isinstance(stream, str):
            self._open.discard(stream)
        elif self._carry or state.open_text:
            self._states[stream] = state
        else:
            self._states.pop(stream, None)


def _payload(line: bytes) -> bytes:
    """The payload of the record that a line represents. Raises RecordError: INVALID_UTF8, TEXT_TOO_LONG."""
    if len(line) > MAX_LINE_BYTES:
        raise RecordError(Reason.TEXT_TOO_LONG, f"the line has more than {MAX_LINE_BYTES} bytes")
    if line.lstrip().startswith(b"{"):
        return line
    try:
        return _encode({"text": line.decode()})
    except UnicodeDecodeError as error:
        raise RecordError(Reason.INVALID_UTF8, f"byte {error.start} of the line is not UTF-8") from None


def _scored(line: _Planned, result: Result) -> ScoredLine:
    stream = line.request.stream
    return ScoredLine(
        line.id,
        stream if isinstance(stream, str) else None,
        result.label,
        result.score,
        Probabilities(*result.probabilities),
        [EventWord(word.word, word.start, word.end, word.change) for word in result.words],
        EventLanguage(*result.language),
        result.known,
        result.understood,
    )


def open_lines(file: str) -> AbstractContextManager[Readable]:
    """Open the file called `file`, or standard input for `-`. Raises InputFileError when it cannot be opened."""
    if file == "-":
        return nullcontext(cast(Readable, sys.stdin.buffer))
    try:
        return Path(file).open("rb")
    except OSError as error:
        raise InputFileError(f"{file}: {error.strerror}") from error


def encode_lines(answers: Iterable[ScoredLine | RefusedLine]) -> bytes:
    """The answers as JSON lines."""
    return b"".join(_encode(answer) + b"\n" for answer in answers)
