"""Benchmark of the worker over a growing number of streams and workers: `python -m benchmarks.growth`."""
