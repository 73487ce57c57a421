"""Benchmark of our worker, beside its peers and an earlier commit of it: `python -m benchmarks.pipeline`."""
