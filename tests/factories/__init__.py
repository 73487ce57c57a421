"""Objects that many tests need.

A fake behaves like the real server as far as the unit tests need it; tests/integration and tests/system run the same
code on real servers.
"""
