"""The errors of the worker, each with the exit code that it ends the process with.

SentimentError                     1  base of the errors below
  SettingsError                    2  settings are invalid; the message names all of them
  DependencyError                  3  a server does not answer; the message says which, where and what to do
  ListenError                      1  the process cannot listen on an address
  TopicsError                      1  topics are missing or have different partition counts
  RefusedError                     1  a broker does not take what is sent; the message names the request and the error
  UnreadableBatchError             1  a batch of records cannot be unpacked; the message says where it is
  UndecidedCommitError             1  the outcome of a commit is unknown; the next take-over settles it
  OwnershipError                   1  a partition's positions contradict each other
  InputFileError                   1  an input file cannot be read
RecordError                           one record cannot be scored: it becomes a dead letter, the others are scored
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Self

EXIT_OK, EXIT_FAILED, EXIT_MISUSED, EXIT_DEPENDENCY = 0, 1, 2, 3


class SentimentError(Exception):
    """Base of every error that ends a command with a message instead of a traceback."""

    exit_code = EXIT_FAILED


class SettingsError(SentimentError):
    """Settings are invalid; the message lists all of them."""

    exit_code = EXIT_MISUSED

    @classmethod
    def of(cls, problems: Iterable[str]) -> Self:
        """The error that lists `problems`, one a line."""
        return cls("invalid settings:\n" + "\n".join(f"  {problem}" for problem in problems))


class DependencyError(SentimentError):
    """A server that the command needs does not answer, or its configuration could lose data."""

    exit_code = EXIT_DEPENDENCY

    def __init__(self, name: str, address: str, problem: str, advice: str) -> None:
        super().__init__(f"{name} at {address}: {problem}. {advice}")


class ListenError(SentimentError):
    """The process cannot listen on an address; `what` is the prefix of the two flags that set it."""

    def __init__(self, what: str, host: str, port: int, error: OSError) -> None:
        if error.errno == errno.EADDRINUSE:
            problem = f"port {port} of {host} is taken. Stop the program that listens there, or choose"
        else:
            problem = f"cannot listen on port {port} of {host}: {error.strerror or error}. Choose"
        super().__init__(f"{problem} another with --{what}-host and --{what}-port (port 0: any free port)")


class TopicsError(SentimentError):
    """Topics are missing, or their partition counts differ."""


class RefusedError(SentimentError):
    """A broker refuses a request, and asking again would not help; `code` is its error code."""

    def __init__(self, what: str, code: int, meaning: str) -> None:
        super().__init__(f"Kafka refuses {what} with error {code}: {meaning}")
        self.code = code


class UnreadableBatchError(SentimentError):
    """A batch of records cannot be unpacked: its codec is not installed, or what the log holds is damaged."""

    def __init__(self, place: str, codec: str, error: BaseException) -> None:
        super().__init__(
            f"the records in {place} cannot be unpacked ({codec}, {type(error).__name__}: {error}). If the codec is "
            'not installed, `pip install "aiokafka[lz4,snappy,zstd]"`. If they are damaged, restore that partition, '
            "or stop all workers and move the group's offset behind them, which loses them (kafka-dump-log shows where "
            "they end, kafka-consumer-groups --reset-offsets --to-offset moves it)"
        )


class UndecidedCommitError(SentimentError):
    """A commit timed out or was cancelled: it may or may not have taken effect."""

    @classmethod
    def of(cls, offsets: Mapping[Any, Any], error: BaseException) -> Self:
        """The error for the commit of `offsets`: (topic, partition) -> the offset, and what is noted with it."""
        places = ", ".join(f"{topic}-{number} up to offset {noted[0]}" for (topic, number), noted in offsets.items())
        return cls(
            f"the commit of {places} is undecided ({type(error).__name__}: {error}): it happened whole or not at all. "
            "What runs next, a worker or the same command again, goes on from what Kafka has"
        )


class OwnershipError(SentimentError):
    """Kafka and Redis contradict each other about a partition."""


class InputFileError(SentimentError):
    """An input file is missing, truncated or of an unknown kind; the message names the file and, if known, the line."""


class Reason(StrEnum):
    """Why a record became a dead letter; the value is used in the header and as the metric's label.

    ABSURD_TIME is of dead letters that are kept from before 1.0: since then such a record takes its own timestamp.
    """

    INVALID_UTF8 = "invalid_utf8"
    INVALID_JSON = "invalid_json"
    WRONG_TYPE = "wrong_type"
    NO_TEXT = "no_text"
    EMPTY_TEXT = "empty_text"
    TEXT_TOO_LONG = "text_too_long"
    ABSURD_TIME = "absurd_time"
    NO_STREAM = "no_stream"
    POISON = "poison"
    EVENT_TOO_LARGE = "event_too_large"
    UNKNOWN_SCHEMA = "unknown_schema"
    SCHEMA_MISMATCH = "schema_mismatch"
    NOT_UNDERSTOOD = "not_understood"


class RecordError(Exception):
    """One record cannot be scored; `reason` classifies the cause, the message explains it."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def kept(self) -> Self:
        """To be kept with its record: without the frames it was raised in, which hold the record's whole micro-batch.

        With them it would be a cycle, that only the garbage collector frees.
        """
        self.__cause__ = self.__context__ = None
        return self.with_traceback(None)
