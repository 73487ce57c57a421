"""Traces: the context that records bring along, and spans of what the worker does with them.

Only `spans` and `export` import OpenTelemetry, and only `start_tracing` imports them, where the setting asks for it.
"""
