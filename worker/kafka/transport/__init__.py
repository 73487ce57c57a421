"""Faust's transport with whole micro-batches in place of single records."""
