"""A simulated world: an input, workers that are started again when they die, servers, and what they have in common."""
