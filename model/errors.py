"""The errors of the model.

ModelError            anything below
  ConfigError         an invalid configuration; the message lists every invalid value
  CheckpointError     a checkpoint folder that is missing, truncated, altered, or made for another version or shape
  StateError          bytes that are not a state of this network
  DataError           training or evaluation data that cannot be read
  VectorFileError     a file of word vectors that cannot be read, or does not fit the network
  UnknownWordError    words that a vocabulary does not have
  ComparisonError     checkpoints whose results cannot be compared fairly
"""

from __future__ import annotations


class ModelError(Exception):
    """Base of every error of the model."""


class ConfigError(ModelError):
    """A configuration that no network can have; the message says which values are invalid."""


class CheckpointError(ModelError):
    """A checkpoint that cannot be loaded or saved; the message names the file and the reason."""


class StateError(ModelError):
    """Bytes that are not a state of this network; the message says what differs."""


class DataError(ModelError):
    """Data for training or evaluation that cannot be read; the message gives file and line."""


class VectorFileError(ModelError):
    """A file of word vectors that cannot be used; the message gives file and line."""


class UnknownWordError(ModelError):
    """Words that have no vector; the message names all of them."""


class ComparisonError(ModelError):
    """Checkpoints that cannot be compared fairly; the message says why and what to do."""
