"""`python -m benchmarks.pipeline`: our worker on a backlog, beside its peers on the same machine."""
