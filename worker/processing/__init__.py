"""A micro-batch on its way through the numbered steps: scored, turned into events, committed."""
