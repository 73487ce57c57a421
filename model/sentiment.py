"""The network for a Python program: texts by themselves, and streams that remember what they have read.

from model import load

sentiment = load()
sentiment.score(["What a lovely day", "Never again"])
stream = sentiment.stream()
stream.read("The hotel was dirty.")
stream.feed("Not ")
stream.feed("bad at all")
stream.end()
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from model.inference.batch import Request
from model.inference.devices import Device, Precision
from model.inference.engine import InferenceEngine, Result
from model.inference.state import StreamState


class Stream:
    """One stream: each text is read from the state that the ones before have left. Not safe to share by threads."""

    def __init__(self, engine: InferenceEngine, state: StreamState | None = None) -> None:
        self._engine = engine
        self._state = state or StreamState.empty(engine.config)

    @property
    def state(self) -> bytes:
        """What the stream remembers, an unfinished text included, for `Sentiment.stream` to go on from."""
        return self._state.to_bytes(self._engine.fingerprint)

    @property
    def num_texts(self) -> int:
        """The texts that the stream has read to their end."""
        return self._state.num_texts

    def read(self, text: str) -> Result:
        """The result of a whole text, or of the rest of the one that `feed` has begun."""
        return self._score(text, final=True)

    def feed(self, piece: str) -> Result:
        """The result so far of a text that goes on. A word counts when the character after it is known.

        However a text is cut into pieces, its last result is that of the whole text.
        """
        return self._score(piece, final=False)

    def end(self) -> Result:
        """The result of the text that `feed` has begun, which ends here."""
        return self._score("", final=True)

    def _score(self, text: str, *, final: bool) -> Result:
        (result,) = self._engine.score([Request("", text, final, self._state)])
        self._state = result.state
        return result


class Sentiment:
    """A loaded network. Safe to share by threads.

    A result also says what the network does not know of its text: `language`, `known` (the share of the tokens that it
    knows) and `understood`; where that is false, the label is not to be relied on.
    """

    def __init__(self, engine: InferenceEngine) -> None:
        self.engine = engine

    def score(self, texts: Iterable[str]) -> list[Result]:
        """The result of each text by itself, in their order. Texts are scored side by side: prefer one large call."""
        return self.engine.score([Request(number, text) for number, text in enumerate(texts)])

    def stream(self, state: bytes | None = None) -> Stream:
        """A stream that has read nothing, or one that goes on from `Stream.state`.

        Raises StateError if `state` is damaged or was made by another network.
        """
        if state is None:
            return Stream(self.engine)
        return Stream(self.engine, StreamState.from_bytes(state, self.engine.config, self.engine.fingerprint))


def load(
    path: Path | str | None = None,
    *,
    precision: Precision = "float32",
    device: Device = "cpu",
    threads: int = 1,
) -> Sentiment:
    """Load the checkpoint at `path`, a folder or the name of a packaged one: "default" (also None), "en", "small".

    The first call on a machine compiles for some seconds.

    precision, device, threads: see InferenceEngine.load.

    Raises ConfigError if the device or precision is not available, CheckpointError if the checkpoint is unusable.
    """
    engine = InferenceEngine.load(path, precision=precision, device=device, threads=threads)
    engine.warm_up()
    return Sentiment(engine)
