"""Data for training and evaluation: corpora, their splits, and a grammar of short phrases."""
