"""The stream processor: Kafka in, the network's state per stream in Redis, sentiment events out, exactly once."""

from importlib.metadata import version

__version__ = version("streaming-sentiment")
