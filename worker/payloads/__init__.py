"""How the records of a topic are read: paths, times, keys, skip rules, and presets for known payloads."""
