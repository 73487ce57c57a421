"""Everything that needs a GPU to be known, in one command of at most six minutes: `python -m benchmarks.gpu`."""
