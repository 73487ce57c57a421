"""Sends records to the input topics at a given rate, from files or from any iterable (such as a simulated feed)."""

from worker.tools.feed.files import FileOptions
from worker.tools.feed.reader import read_files
from worker.tools.feed.sender import FeedSummary, OnSent, feed_files, send_feed, try_files

__all__ = ["FeedSummary", "FileOptions", "OnSent", "feed_files", "read_files", "send_feed", "try_files"]
