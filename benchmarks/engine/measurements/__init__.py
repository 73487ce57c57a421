"""The measurements, a file each; `benchmarks/engine/measure.py` runs all of them."""
