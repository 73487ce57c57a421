"""`python -m benchmarks.engine`: our engine beside its peers, the packages of the extra `bench`, in one process."""
