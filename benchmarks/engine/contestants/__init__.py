"""The implementations that the engine is compared with, and their common work."""
