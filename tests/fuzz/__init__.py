"""Arbitrary bytes for everything that reads what others write: `make fuzz`, and in short with the unit tests."""
