"""The bench of the engine, beside its peers. Its peers are the extra `bench`."""
