"""Benchmarks of the engine and of the pipeline beside their peers. Not part of the wheel."""
