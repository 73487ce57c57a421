"""The demo, the benchmark and the soak, each in a short form."""
