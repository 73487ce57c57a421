"""Benchmark of our engine beside its peers in one process: `python -m benchmarks.engine`, with the extra `bench`."""
