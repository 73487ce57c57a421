"""The errors of the worker, and the exit code that each one ends the process with.

SentimentError                     1  anything below
  SettingsError                    2  settings that cannot work, all of them named at once
  DependencyError                  3  a server is away: which, where, what to do
  ListenError                      1  an address to listen on cannot be had
  TopicsError                      1  topics are missing or have other partition counts
  UndecidedCommitError             1  a commit of which nobody knows the outcome: take over anew
  OwnershipError                   1  a partition's positions contradict each other
  InputFileError                   1  a file to feed cannot be read
RecordError                           one record cannot be scored: it becomes a dead letter, its neighbours go on
"""

from __future__ import annotations

import errno
from enum import StrEnum

EXIT_OK, EXIT_FAILED, EXIT_MISUSED, EXIT_DEPENDENCY = 0, 1, 2, 3


class SentimentError(Exception):
    """Base of every error that ends a command with a message instead of a traceback."""

    exit_code = EXIT_FAILED


class SettingsError(SentimentError):
    """Settings that cannot work; the message lists all of them."""

    exit_code = EXIT_MISUSED


class DependencyError(SentimentError):
    """A server that the command needs does not answer, or is set up so that it would lose data."""

    exit_code = EXIT_DEPENDENCY

    def __init__(self, name: str, address: str, problem: str, advice: str) -> None:
        super().__init__(f"{name} at {address}: {problem}. {advice}")


class ListenError(SentimentError):
    """The address that a server of ours wants to listen on cannot be had; `what` names its two flags."""

    def __init__(self, what: str, host: str, port: int, error: OSError) -> None:
        if error.errno == errno.EADDRINUSE:
            problem = f"port {port} of {host} is taken. End what listens there, or choose"
        else:
            problem = f"cannot listen on port {port} of {host}: {error.strerror or error}. Choose"
        super().__init__(f"{problem} another with --{what}-host and --{what}-port (port 0: any that is free)")


class TopicsError(SentimentError):
    """Topics are missing, or their partition counts do not fit each other."""


class UndecidedCommitError(SentimentError):
    """A transaction's commit timed out or was cancelled: it may or may not have happened."""


class OwnershipError(SentimentError):
    """What Kafka and Redis say of a partition cannot both be true."""


class InputFileError(SentimentError):
    """A file to feed is missing, cut short or of no known kind; the message names the file, and the line if any."""


class Reason(StrEnum):
    """Why a record became a dead letter; the value is the header and the metric's label."""

    INVALID_UTF8 = "invalid_utf8"
    INVALID_JSON = "invalid_json"
    WRONG_TYPE = "wrong_type"
    NO_TEXT = "no_text"
    EMPTY_TEXT = "empty_text"
    TEXT_TOO_LONG = "text_too_long"
    ABSURD_TIME = "absurd_time"
    NO_STREAM = "no_stream"
    POISON = "poison"


class RecordError(Exception):
    """One record cannot be scored; `reason` says why in a word, the message in a sentence."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
