"""Benchmark of our worker on a backlog, beside its peers on the same machine: `python -m benchmarks.pipeline`."""
