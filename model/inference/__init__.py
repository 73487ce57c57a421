"""Scoring texts with a checkpoint: batching, scheduling, the engine, and the state of streams."""
