"""The live page: a process of its own that reads the topics, the group's offsets and the worker's health.

live/ reads and remembers, views/ draws, serve.py puts both together. Nothing else of the worker imports this package.
"""
